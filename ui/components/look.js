export default function (component) {
  const { data, parentElement } = component
  const place = (address) => `stActiveTheme-${address}-v2`
  const now = () => { try { return JSON.parse(localStorage.getItem(place(window.location.pathname))) || "System" } catch { return "System" } }
  const group = document.createElement("div")
  group.setAttribute("role", "radiogroup")
  group.setAttribute("aria-label", "Light or dark")
  const names = Object.keys(data.choices)
  for (const name of names) {
    const button = document.createElement("button")
    button.type = "button"
    button.setAttribute("role", "radio")
    button.setAttribute("aria-checked", String(now() === name))
    button.textContent = data.choices[name]
    button.onclick = () => {
      for (const address of data.addresses) localStorage.setItem(place(address), JSON.stringify(name))
      window.location.reload()
    }
    group.append(button)
  }
  parentElement.querySelector(".look").replaceChildren(group)
}
