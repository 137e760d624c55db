const open = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const root = parentElement.querySelector(".pick")
  const name = `pick-${data.name}`
  let input = root.querySelector("input")
  if (!input) {
    root.innerHTML = '<label></label><div class="box"><input type="text" role="combobox" autocomplete="off" aria-autocomplete="list" aria-expanded="false"><button class="clear" type="button" aria-label="Clear">✕</button></div><ul role="listbox" hidden></ul>'
    input = root.querySelector("input")
  }
  const list = root.querySelector("ul")
  const clear = root.querySelector(".clear")
  root.querySelector("label").textContent = data.label
  root.querySelector("label").htmlFor = input.id = name
  list.id = `${name}-list`
  input.setAttribute("aria-controls", list.id)
  input.placeholder = data.placeholder
  const state = open.get(parentElement) || { typing: false, at: -1, timer: 0 }
  open.set(parentElement, state)
  const show = (visible) => { list.hidden = !visible; input.setAttribute("aria-expanded", String(visible)) }
  const settle = () => { state.typing = false; state.at = -1; input.value = data.title || ""; clear.hidden = !data.title; show(false) }
  const pick = (option) => { data.title = option ? option.title : ""; settle(); setStateValue("picked", { id: option ? option.id : null, title: option ? option.title : "" }) }
  const host = parentElement.getRootNode().host
  if (host?.closest('[role="dialog"]')) { // a dialog moves the focus itself, and sees no fields inside of shadows
    host.tabIndex = 0
    host.dataset.field = data.name
    host.onfocus = () => { if (!host.shadowRoot.activeElement) input.focus() }
  }
  list.replaceChildren()
  const options = state.typing && data.query !== input.value.trim() ? [] : data.options
  options.forEach((option, index) => {
    const li = document.createElement("li")
    li.setAttribute("role", "option")
    li.setAttribute("aria-selected", String(index === state.at))
    li.textContent = option.title
    li.onmousedown = (event) => { event.preventDefault(); pick(option) }
    list.append(li)
  })
  if (!options.length) { const li = document.createElement("li"); li.className = "none"; li.textContent = state.typing && data.query !== input.value.trim() ? "Searching…" : "Nothing found"; list.append(li) }
  if (!state.typing) settle()
  input.onfocus = () => { input.select() }
  input.onclick = () => { if (!state.typing) { state.typing = true; show(true) } }
  input.oninput = () => {
    state.typing = true
    show(true)
    clearTimeout(state.timer)
    state.timer = setTimeout(() => setStateValue("query", input.value.trim()), 250)
  }
  input.onblur = () => setTimeout(() => { if (state.typing) settle() }, 150)
  input.onkeydown = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      state.typing = true
      show(true)
      const items = [...list.querySelectorAll('li[role="option"]')]
      state.at = Math.max(0, Math.min(items.length - 1, state.at + (event.key === "ArrowDown" ? 1 : -1)))
      items.forEach((li, index) => li.setAttribute("aria-selected", String(index === state.at)))
      items[state.at]?.scrollIntoView({ block: "nearest" })
    } else if (event.key === "Enter" && state.typing && options.length) { event.preventDefault(); pick(options[Math.max(0, state.at)]) }
    else if (event.key === "Escape" && state.typing) { event.stopPropagation(); settle() }
  }
  clear.onclick = () => { input.value = ""; pick(null) }
}
