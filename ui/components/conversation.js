export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const list = document.createElement("ol")
  list.setAttribute("aria-label", "Conversation, oldest first")
  const make = (tag, name, text) => {
    const found = document.createElement(tag)
    if (name) found.className = name
    if (text) found.textContent = text
    return found
  }
  const button = (words, ask) => {
    const found = make("button", "link", words)
    found.type = "button"
    found.onclick = () => setTriggerValue("asked", ask)
    return found
  }
  for (const message of data.messages) {
    const item = make("li", message.side)
    const head = make("div", "head")
    const name = message.side === "note" && !message.auto ? `internal note · ${message.when}` : message.when
    head.append(make("strong", "", message.who), make("span", "", name))
    item.append(head)
    if (message.to) item.append(make("div", "to", message.to))
    const text = make("div", "text", message.text)
    text.dir = "auto"
    item.append(text)
    if (message.quoted) {
      const fold = make("details", "earlier")
      const earlier = make("div", "text", message.quoted)
      earlier.dir = "auto"
      fold.append(make("summary", "", "Earlier words"), earlier)
      item.append(fold)
    }
    if (message.files.length) {
      const files = make("ul", "files")
      files.setAttribute("aria-label", "Files")
      for (const name of message.files) files.append(make("li", "", name))
      item.append(files)
    }
    const foot = make("div", "foot")
    if (message.state) foot.append(make("span", message.good ? "state" : "state bad", message.state))
    if (message.formatted) foot.append(button("As it came", { id: message.id, what: "html" }))
    if (message.again) foot.append(button("Send again", { id: message.id, what: "retry" }))
    if (foot.childNodes.length) item.append(foot)
    list.append(item)
  }
  parentElement.querySelector(".talk").replaceChildren(list)
}
