// The sandbox keeps scripts, forms and windows out, but a frame may lead itself elsewhere: so no link has an address.
const harmless = (html) => {
  const page = new DOMParser().parseFromString(html, "text/html")
  for (const one of page.querySelectorAll("base, meta, link, script, iframe, object, embed")) one.remove()
  for (const one of page.querySelectorAll("a, area")) {
    one.setAttribute("title", one.getAttribute("href") || "")
    for (const name of ["href", "xlink:href", "target", "ping"]) one.removeAttribute(name)
    one.classList.add("rapport-link")
  }
  return page.documentElement.innerHTML
}

