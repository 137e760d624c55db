export default function (component) {
  const { data, parentElement } = component
  const list = document.createElement("ol")
  list.setAttribute("aria-label", "Conversation, oldest first")
  for (const message of data.messages) {
    const item = document.createElement("li")
    item.className = message.side
    const head = document.createElement("div")
    head.className = "head"
    const who = document.createElement("strong")
    who.textContent = message.who
    const note = document.createElement("span")
    note.textContent = message.side === "note" ? `internal note · ${message.when}` : message.when
    head.append(who, note)
    const text = document.createElement("div")
    text.className = "text"
    text.dir = "auto"
    text.textContent = message.text
    item.append(head, text)
    list.append(item)
  }
  parentElement.querySelector(".talk").replaceChildren(list)
}
