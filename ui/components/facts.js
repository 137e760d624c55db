export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const list = document.createElement("dl")
  for (const fact of data.facts) {
    const label = document.createElement("dt")
    label.textContent = fact.label
    const value = document.createElement("dd")
    if (fact.href) {
      const link = document.createElement("a")
      link.href = fact.href
      link.textContent = fact.text
      if (fact.page) {
        link.onclick = (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return
          event.preventDefault()
          setTriggerValue("opened", { page: fact.page, id: fact.id })
        }
      } else if (fact.href.startsWith("http")) { link.target = "_blank"; link.rel = "noopener noreferrer" }
      value.append(link)
    } else value.textContent = fact.text
    if (fact.note) {
      const note = document.createElement("small")
      note.textContent = fact.note
      value.append(note)
    }
    list.append(label, value)
  }
  parentElement.querySelector(".facts").replaceChildren(list)
}
