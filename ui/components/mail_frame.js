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

export default function (component) {
  const { data, parentElement } = component
  const frame = parentElement.querySelector("iframe")
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
  frame.srcdoc =
    `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width">` +
    `<style>body{font:14px/1.5 Helvetica,Arial,sans-serif;color:#111827;background:#fff;margin:12px;overflow-wrap:anywhere}img{max-width:100%;height:auto}table{max-width:100%}a.rapport-link{color:#1d4ed8;text-decoration:underline}blockquote{margin:8px 0;padding-left:10px;border-left:2px solid #d1d5db;color:#4b5563}</style>` +
    harmless(data.html)
}
