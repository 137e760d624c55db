export default function (component) {
  const { data, parentElement } = component
  const form = document.createElement("form")
  form.method = "post"
  form.action = "/demo/as"
  const line = document.createElement("p")
  line.textContent = data.now ? `You look at it as: ${data.now}` : "You look at it as a colleague"
  form.append(line)
  const button = (role, words, className) => {
    const el = document.createElement("button")
    el.type = "submit"
    el.name = "role"
    el.value = role.key
    el.className = className
    const who = document.createElement("span")
    who.textContent = role.person
    el.append(words, who)
    return el
  }
  const first = data.roles[0]
  if (first && !first.on) form.append(button(first, `Back to ${first.name.toLowerCase()}`, "back"))
  const more = document.createElement("details")
  const head = document.createElement("summary")
  head.textContent = "Look at it as …"
  more.append(head)
  for (const role of data.roles) if (!role.on && role !== first) more.append(button(role, role.name, ""))
  form.append(more)
  parentElement.querySelector(".roles").replaceChildren(form)
}
