const picks = new WeakMap()
const watched = new WeakMap()
const WIDTHS = [560, 420, 340, 290, 255, 230, 210, 190, 175, 160, 145, 130, 115]

// The most that a cell's words may take: as much as the table has room for, so that nothing is cut while there is space beside it.
function fit(root) {
  const table = root.firstElementChild
  if (!table || !root.clientWidth) return
  const fits = (at) => {
    root.style.setProperty("--most", `${WIDTHS[at]}px`)
    return table.offsetWidth <= root.clientWidth
  }
  if (fits(0)) return
  let [first, last] = [1, WIDTHS.length - 1] // each question lays the whole table out anew, so few are asked
  while (first < last) {
    const middle = (first + last) >> 1
    if (fits(middle)) last = middle
    else first = middle + 1
  }
  fits(last)
}

function watch(root) {
  if (watched.has(root)) return
  let width = root.clientWidth // for which it was just fitted
  const observer = new ResizeObserver(() => {
    if (root.clientWidth !== width) { width = root.clientWidth; fit(root) }
  })
  observer.observe(root)
  watched.set(root, observer)
}

// A header stays under the hands when the rows are drawn in another order; what belongs to a row follows the row.
function focusedIn(root) {
  const el = root.getRootNode().activeElement
  if (!el || el === root || !root.contains(el)) return null
  const row = el.closest("tr[data-id]")
  const what = row ? `tr[data-id="${row.dataset.id}"] :is(a, button, input)` : "thead :is(button, input)"
  const found = [...root.querySelectorAll(what)]
  return { what, place: found.indexOf(el) }
}

function cellContent(cell, column) {
  if (cell.share !== undefined && cell.share !== null) {
    const bar = document.createElement("span")
    bar.className = "bar"
    const track = document.createElement("i")
    track.style.setProperty("--share", `${cell.share}%`)
    const text = document.createElement("span")
    text.textContent = cell.text
    bar.append(track, text)
    return bar
  }
  const span = document.createElement("span")
  span.textContent = cell.text
  if (cell.tone) {
    span.className = "badge"
    span.style.setProperty("--tone", `var(--st-${cell.tone}-color)`)
  } else {
    span.className = cell.hot ? "cut hot" : column.muted ? "cut muted" : "cut"
    if (cell.text.length > 38) span.title = cell.text
  }
  return span
}

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component
  const root = parentElement.querySelector(".frame")
  const chosen = new Set(data.selected || [])
  picks.set(parentElement, chosen)
  const table = document.createElement("table")
  const label = document.createElement("caption")
  label.textContent = data.label
  label.style.cssText = "position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden"
  table.append(label)

  const send = () => setStateValue("selected", [...chosen])
  const head = document.createElement("tr")
  if (data.selectable) {
    const th = document.createElement("th")
    th.className = "check"
    const all = document.createElement("input")
    all.type = "checkbox"
    all.setAttribute("aria-label", "Select all rows of this page")
    all.checked = data.rows.length > 0 && data.rows.every((row) => chosen.has(row.id))
    all.onchange = () => {
      for (const row of data.rows) all.checked ? chosen.add(row.id) : chosen.delete(row.id)
      for (const box of root.querySelectorAll("tbody input")) { box.checked = all.checked; box.closest("tr").classList.toggle("picked", all.checked) }
      send()
    }
    th.append(all)
    head.append(th)
  }
  if (data.ticks) {
    const th = document.createElement("td")
    th.className = "tick"
    head.append(th)
  }
  for (const column of data.columns) {
    const th = document.createElement("th")
    th.scope = "col"
    if (column.right) th.className = "right"
    if (column.sortable) {
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = column.label
      const sorted = data.sort && data.sort.key === column.key
      th.setAttribute("aria-sort", sorted ? (data.sort.desc ? "descending" : "ascending") : "none")
      if (sorted) {
        const arrow = document.createElement("span")
        arrow.className = "arrow"
        arrow.textContent = data.sort.desc ? "▼" : "▲"
        arrow.setAttribute("aria-hidden", "true")
        button.append(arrow)
      }
      button.onclick = () => setTriggerValue("sorted", { key: column.key, desc: sorted ? !data.sort.desc : column.right })
      th.append(button)
    } else th.textContent = column.label
    head.append(th)
  }
  const thead = document.createElement("thead")
  thead.append(head)
  const body = document.createElement("tbody")
  for (const row of data.rows) {
    const tr = document.createElement("tr")
    tr.dataset.id = row.id
    tr.classList.toggle("picked", chosen.has(row.id))
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1) return
      if (event.target.closest(".check, .tick")) return
      event.preventDefault()
      setTriggerValue("opened", { id: row.id })
    }
    if (data.openable) tr.onclick = open
    if (data.selectable) {
      const td = document.createElement("td")
      td.className = "check"
      const box = document.createElement("input")
      box.type = "checkbox"
      box.checked = chosen.has(row.id)
      box.setAttribute("aria-label", `Select ${row.cells[0].text}`)
      box.onchange = () => { box.checked ? chosen.add(row.id) : chosen.delete(row.id); tr.classList.toggle("picked", box.checked); send() }
      if (!data.openable) tr.onclick = (event) => { if (event.target !== box && !String(getSelection())) box.click() }
      td.append(box)
      tr.append(td)
    }
    if (data.ticks) {
      const td = document.createElement("td")
      td.className = "tick"
      if (row.tick) {
        const button = document.createElement("button")
        button.type = "button"
        button.className = row.tick.on ? "on" : ""
        button.textContent = "✓"
        button.title = row.tick.words
        button.setAttribute("aria-label", `${row.tick.words}: ${row.cells[0].text}`)
        button.setAttribute("aria-pressed", String(row.tick.on))
        button.onclick = () => { button.disabled = true; setTriggerValue("ticked", { id: row.id }) }
        td.append(button)
      }
      tr.append(td)
    }
    row.cells.forEach((cell, index) => {
      const column = data.columns[index]
      const td = document.createElement("td")
      if (column.right) td.classList.add("right")
      if (column.named && index > 0) td.dataset.name = `${column.label} `
      if (["", "–", "•••"].includes(cell.text)) td.classList.add("blank")
      if (index === 0) {
        td.classList.add("lead")
        const inner = cellContent(cell, column)
        if (row.href) {
          const link = document.createElement("a")
          link.href = row.href
          link.append(inner)
          td.append(link)
        } else td.append(inner)
      } else if (cell.href) {
        const link = document.createElement("a")
        link.href = cell.href
        link.append(cellContent(cell, column))
        link.setAttribute("aria-label", `${column.label} ${cell.text}, ${row.cells[0].text}`)
        link.onclick = (event) => {
          event.stopPropagation()
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1) return
          event.preventDefault()
          setTriggerValue("followed", { href: cell.href })
        }
        td.append(link)
      } else td.append(cellContent(cell, column))
      tr.append(td)
    })
    body.append(tr)
  }
  table.append(thead, body)
  const left = root.scrollLeft
  const keep = focusedIn(root)
  root.replaceChildren(table)
  if (keep) [...root.querySelectorAll(keep.what)][keep.place]?.focus({ preventScroll: true })
  fit(root)
  watch(root)
  root.scrollLeft = left
}
