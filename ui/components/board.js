const PATIENCE_MS = 3000
const going = new Map()
const BETWEEN = "application/x-rapport-deal"

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".board")
  const focused = parentElement.querySelector(".card:focus")?.dataset.id || root.dataset.keep
  const left = root.scrollLeft
  root.replaceChildren()
  if (root.dataset.turn !== String(data.turn)) going.clear()
  root.dataset.turn = String(data.turn)
  // A second press may come before the first one is drawn: its version would be stale. It waits here and is sent with the new drawing.
  const under = (card) => { const one = going.get(card.id); return one && Date.now() - one.at < PATIENCE_MS ? one : undefined }
  const move = (card, from, to) => {
    root.dataset.keep = String(card.id)
    const one = under(card)
    if (one) { one.next = to; return }
    going.set(card.id, { version: card.version, to, next: null, at: Date.now() })
    setTriggerValue("moved", { id: card.id, version: card.version, from, to })
  }
  data.columns.forEach((column, place) => {
    const section = document.createElement("section")
    section.className = "col"
    section.dataset.stage = column.id
    section.setAttribute("aria-label", column.label)
    const head = document.createElement("div")
    head.className = "head"
    const title = document.createElement("h3")
    const dot = document.createElement("i")
    dot.className = "dot"
    dot.style.setProperty("--tone", `var(--st-${column.tone}-color)`)
    const count = document.createElement("span")
    count.textContent = column.count
    title.append(dot, column.label)
    if (column.asks) {
      const gate = document.createElement("button")
      gate.type = "button"
      gate.className = "gate"
      gate.textContent = "?"
      gate.setAttribute("aria-label", `What ${column.label} asks for: ${column.asks}`)
      gate.dataset.asks = column.asks
      title.append(gate)
    }
    title.append(count)
    const sum = document.createElement("div")
    sum.className = "sum"
    sum.textContent = column.total
    head.append(title, sum)
    const pile = document.createElement("div")
    pile.className = "cards"
    section.append(head, pile)
    for (const card of column.cards) {
      const el = document.createElement("article")
      el.className = "card"
      el.tabIndex = 0
      el.dataset.id = card.id
      el.setAttribute("role", "button")
      el.setAttribute("aria-label", `${[card.title, card.amount, column.label].filter(Boolean).join(", ")}. Enter opens; arrow keys lead to other cards; with Shift they move this one.`)
      el.draggable = card.movable
      if (!card.movable) el.setAttribute("aria-disabled", "true")
      const add = (className, ...texts) => {
        const div = document.createElement("div")
        div.className = className
        if (texts.length === 1) div.textContent = texts[0]
        else for (const text of texts) { const s = document.createElement("span"); s.textContent = text; div.append(s) }
        el.append(div)
      }
      add("t", card.title)
      if (card.account) add("a", card.account)
      add("m", card.amount, card.meta)
      if (card.late) el.lastElementChild.classList.add("late")
      const foot = document.createElement("div")
      foot.className = "f"
      const owner = document.createElement("span")
      owner.textContent = card.owner
      foot.append(owner)
      if (card.flag) { const flag = document.createElement("span"); flag.className = "flag"; flag.textContent = card.flag; foot.append(flag) }
      el.append(foot)
      el.ondragstart = (event) => { event.dataTransfer.setData(BETWEEN, JSON.stringify({ id: card.id, version: card.version, from: column.id })); event.dataTransfer.effectAllowed = "move"; el.classList.add("drag") }
      el.ondragend = () => el.classList.remove("drag")
      el.onclick = () => setTriggerValue("opened", { id: card.id })
      el.onkeydown = (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); setTriggerValue("opened", { id: card.id }); return }
        const step = event.shiftKey && card.movable ? { ArrowRight: 1, ArrowLeft: -1 }[event.key] : undefined
        const one = under(card)
        const here = one ? data.columns.findIndex((column) => column.id === (one.next ?? one.to)) : place
        const target = step === undefined ? undefined : data.columns[here + step]
        if (target) { event.preventDefault(); move(card, column.id, target.id); return }
        if (event.shiftKey) return
        const row = [...pile.children].indexOf(el)
        const piles = [...root.querySelectorAll(".cards")].map((each) => [...each.querySelectorAll(".card")])
        const beside = { ArrowRight: piles.slice(place + 1), ArrowLeft: piles.slice(0, place).reverse() }[event.key]
        const over = beside?.find((cards) => cards.length)
        const near = { ArrowDown: piles[place][row + 1], ArrowUp: piles[place][row - 1] }[event.key] ?? over?.[Math.min(row, over.length - 1)]
        if (near) { event.preventDefault(); near.focus() }
      }
      pile.append(el)
    }
    if (!column.cards.length) { const none = document.createElement("div"); none.className = "none"; none.textContent = data.none; pile.append(none) }
    if (column.more) { const more = document.createElement("button"); more.type = "button"; more.className = "more"; more.textContent = column.more; more.onclick = () => setTriggerValue("more", { stage: column.id }); pile.append(more) }
    section.ondragover = (event) => { if (event.dataTransfer.types.includes(BETWEEN)) { event.preventDefault(); section.classList.add("over") } }
    section.ondragleave = (event) => { if (!section.contains(event.relatedTarget)) section.classList.remove("over") }
    section.ondrop = (event) => {
      event.preventDefault()
      section.classList.remove("over")
      const dropped = JSON.parse(event.dataTransfer.getData(BETWEEN))
      if (dropped.from === column.id) return
      const el = root.querySelector(`[data-id="${dropped.id}"]`)
      if (el) pile.append(el)
      move(dropped, dropped.from, column.id)
    }
    root.append(section)
  })
  root.scrollLeft = left
  for (const column of data.columns) for (const card of column.cards) {
    const one = going.get(card.id)
    if (!one || one.version === card.version) continue
    going.delete(card.id)
    if (one.next && one.next !== column.id) move(card, column.id, one.next)
  }
  if (focused) { const again = root.querySelector(`[data-id="${focused}"]`); if (again) again.focus({ preventScroll: true }); delete root.dataset.keep }
}
