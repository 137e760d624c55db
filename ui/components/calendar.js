const HOUR = 48, STEP = 15, NARROW = 640
const pad = (n) => String(n).padStart(2, "0")
const snap = (minutes) => Math.round(minutes / STEP) * STEP
const clamp = (n, low, high) => Math.max(low, Math.min(high, n))

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".cal")
  const [early, late, twelve] = data.face
  root.classList.toggle("twelve", twelve)
  const clock = (minutes) => {
    const hour = Math.floor(minutes / 60), shown = twelve ? hour % 12 || 12 : hour
    return (hour < 12 ? early : late).replace("{hh}", pad(shown)).replace("{h}", shown).replace("{m}", pad(minutes % 60))
  }
  const kept = { key: root.querySelector(":focus")?.dataset.key, top: root.querySelector(".grid")?.scrollTop }
  const make = (tag, className, text) => { const el = document.createElement(tag); if (className) el.className = className; if (text !== undefined) el.textContent = text; return el }
  const open = (entry) => setTriggerValue("opened", { kind: entry.kind, id: entry.id })
  const move = (entry, day, from, minutes) => setTriggerValue("moved", { kind: entry.kind, id: entry.id, version: entry.version, day, from, minutes })
  const pick = (day, from) => data.may && setTriggerValue("picked", { day, from })
  const days = data.days
  const at = (day) => days.findIndex((one) => one.day === day)

  const entryBox = (entry, className) => {
    const el = make("div", `e ${className || ""}${entry.done ? " done" : ""}${entry.movable ? " mv" : ""}`)
    el.style.setProperty("--tone", `var(--st-${entry.tone}-color)`)
    el.tabIndex = 0
    el.dataset.key = entry.key
    el.setAttribute("role", "button")
    el.setAttribute("aria-label", `${entry.label}: ${entry.title}, ${entry.when}${entry.who ? ", " + entry.who : ""}. Enter opens${entry.movable ? "; Shift with arrow keys moves" : ""}.`)
    el.title = `${entry.title}\n${entry.when}${entry.who ? "\n" + entry.who : ""}`
    el.onclick = (event) => { event.stopPropagation(); if (!el.dataset.moved) open(entry); delete el.dataset.moved }
    el.onkeydown = (event) => {
      if (event.key === "Enter") { event.preventDefault(); event.stopPropagation(); open(entry); return }
      if (!event.shiftKey || !entry.movable) return
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key], upright = { ArrowUp: -STEP, ArrowDown: STEP }[event.key]
      const target = days[at(entry.day) + (sideways || 0)]
      if (sideways && target) { event.preventDefault(); move(entry, target.day, entry.from, null) }
      if (upright) { event.preventDefault(); move(entry, entry.day, clamp(entry.from + upright, 0, 1435), null) }
    }
    return el
  }
  const line = (entry) => { const el = entryBox(entry, "line"); if (!entry.whole) el.append(make("span", "", clock(entry.from) + " ")); el.append(make("b", "", entry.title)); return el }

  const agenda = () => {
    const list = make("div", "agenda")
    for (const one of days) {
      const here = data.entries.filter((entry) => entry.whole ? entry.day <= one.day && one.day <= entry.last : entry.day === one.day)
      if (!here.length) continue
      list.append(make("h4", one.today ? "today" : "", one.long))
      for (const entry of here) {
        const el = entryBox(entry)
        el.append(make("span", "", entry.whole ? entry.label : `${clock(entry.from)} – ${clock((entry.from + entry.minutes) % 1440)}`), make("b", "", entry.title), make("i", "", entry.who))
        list.append(el)
      }
    }
    if (!list.children.length) list.append(make("div", "none", data.none))
    return list
  }

  const month = () => {
    const part = document.createDocumentFragment()
    const names = make("div", "names")
    names.style.gridTemplateColumns = "repeat(7, minmax(0, 1fr))"
    for (const one of days.slice(0, 7)) names.append(make("div", "", one.weekday))
    const grid = make("div", "month")
    for (const one of days) {
      const cell = make("div", `cell${one.out ? " out" : ""}`)
      cell.append(make("div", `num${one.today ? " today" : ""}`, one.number))
      const here = data.entries.filter((entry) => entry.whole ? entry.day <= one.day && one.day <= entry.last : entry.day === one.day)
      for (const entry of here.slice(0, 4)) {
        const el = line(entry)
        if (entry.movable) {
          el.draggable = true
          el.ondragstart = (event) => { event.dataTransfer.setData("application/x-rapport-entry", JSON.stringify({ key: entry.key })); el.classList.add("drag") }
          el.ondragend = () => el.classList.remove("drag")
        }
        cell.append(el)
      }
      if (here.length > 4) { const more = make("button", "rest", `${here.length - 4} more`); more.type = "button"; more.onclick = (event) => { event.stopPropagation(); setTriggerValue("day", { day: one.day }) }; cell.append(more) }
      cell.ondragover = (event) => { if (event.dataTransfer.types.includes("application/x-rapport-entry")) { event.preventDefault(); cell.classList.add("over") } }
      cell.ondragleave = () => cell.classList.remove("over")
      cell.ondrop = (event) => { event.preventDefault(); cell.classList.remove("over"); const dropped = JSON.parse(event.dataTransfer.getData("application/x-rapport-entry")); const entry = data.entries.find((each) => each.key === dropped.key); if (entry && entry.day !== one.day) move(entry, one.day, entry.from, null) }
      cell.onclick = () => pick(one.day, 9 * 60)
      grid.append(cell)
    }
    part.append(names, grid)
    return part
  }

  const lanes = (here) => {
    const placed = []
    let group = [], end = -1
    const close = () => { const width = Math.max(1, ...group.map((one) => one.lane + 1)); group.forEach((one) => { one.width = width }); placed.push(...group); group = [] }
    for (const entry of here) {
      if (entry.from >= end) { close(); end = -1 }
      const busy = new Set(group.filter((one) => one.entry.from + Math.max(one.entry.minutes, 25) > entry.from).map((one) => one.lane))
      let lane = 0
      while (busy.has(lane)) lane += 1
      group.push({ entry, lane })
      end = Math.max(end, entry.from + Math.max(entry.minutes, 25))
    }
    close()
    return placed
  }

  const drag = (el, entry, columns, resize) => (down) => {
    if (down.button !== 0 || !entry.movable) return
    down.preventDefault(); down.stopPropagation()
    const startY = down.clientY, startX = down.clientX, grid = el.closest(".grid"), scroll = grid.scrollTop
    let day = entry.day, from = entry.from, minutes = entry.minutes, moved = false
    const onMove = (event) => {
      const dy = event.clientY - startY + grid.scrollTop - scroll
      if (!moved && Math.hypot(dy, event.clientX - startX) < 5) return
      moved = true; el.classList.add("drag")
      if (resize) { minutes = clamp(snap(entry.minutes + dy / HOUR * 60), STEP, 1440 - entry.from); el.style.height = `${minutes / 60 * HOUR - 2}px`; return }
      from = clamp(snap(entry.from + dy / HOUR * 60), 0, 1440 - STEP)
      const over = columns.find((column) => { const box = column.getBoundingClientRect(); return event.clientX >= box.left && event.clientX < box.right })
      if (over && over.dataset.day !== day) { day = over.dataset.day; over.append(el) }
      el.style.top = `${from / 60 * HOUR}px`
    }
    const onUp = () => {
      window.removeEventListener("pointermove", onMove); window.removeEventListener("pointerup", onUp)
      el.classList.remove("drag")
      if (!moved) return
      el.dataset.moved = "1"
      if (day !== entry.day || from !== entry.from || minutes !== entry.minutes) move(entry, day, from, resize ? minutes : null)
    }
    window.addEventListener("pointermove", onMove); window.addEventListener("pointerup", onUp)
  }

  const week = () => {
    const part = document.createDocumentFragment()
    const columnsCss = `64px repeat(${days.length}, minmax(0, 1fr))`
    const names = make("div", "names"), all = make("div", "all"), grid = make("div", "grid"), hours = make("div", "hours")
    for (const row of [names, all, grid]) row.style.gridTemplateColumns = columnsCss
    names.append(make("div")); all.append(make("div", "", "All day"))
    for (let hour = 0; hour < 24; hour += 1) hours.append(make("div", "", clock(hour * 60)))
    grid.append(hours)
    const columns = []
    for (const one of days) {
      names.append(make("div", one.today ? "today" : "", `${one.weekday} ${one.number}`))
      const top = make("div")
      for (const entry of data.entries) if (entry.whole && entry.day <= one.day && one.day <= entry.last) top.append(line(entry))
      all.append(top)
      const column = make("div", `day${one.free ? " free" : ""}`)
      column.dataset.day = one.day
      column.tabIndex = 0
      column.dataset.key = `day-${one.day}`
      column.setAttribute("role", "group")
      column.setAttribute("aria-label", `${one.long}. Arrow keys choose a time, Enter plans something.`)
      let cursor = 9 * 60, mark = null
      const show = () => { if (!mark) { mark = make("div", "slot"); column.append(mark) } mark.style.top = `${cursor / 60 * HOUR}px`; mark.textContent = clock(cursor) }
      const hide = () => { mark?.remove(); mark = null }
      column.onfocus = (event) => { if (event.target === column && column.matches(":focus-visible")) show() }
      column.onblur = hide
      column.onkeydown = (event) => {
        if (event.target !== column) return
        const step = { ArrowUp: -30, ArrowDown: 30 }[event.key], side = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
        if (step) { event.preventDefault(); cursor = clamp(cursor + step, 0, 1410); show() }
        if (side) { event.preventDefault(); columns[columns.indexOf(column) + side]?.focus() }
        if (event.key === "Enter") { event.preventDefault(); pick(one.day, cursor) }
      }
      const minuteAt = (event) => clamp(Math.floor((event.clientY - column.getBoundingClientRect().top) / HOUR * 2) * 30, 0, 1410)
      column.onmousemove = (event) => { if (event.target === column && data.may) { cursor = minuteAt(event); show() } else hide() }
      column.onmouseleave = hide
      column.onclick = (event) => { if (event.target === column) pick(one.day, minuteAt(event)) }
      for (const { entry, lane, width } of lanes(data.entries.filter((each) => !each.whole && each.day === one.day))) {
        const el = entryBox(entry)
        const height = Math.max(entry.minutes, 25) / 60 * HOUR - 2
        Object.assign(el.style, { top: `${entry.from / 60 * HOUR}px`, height: `${height}px`, left: `calc(${100 * lane / width}% + 2px)`, width: `calc(${100 / width}% - 4px)` })
        el.append(make("b", "", entry.title))
        el.classList.toggle("short", height < 30)
        if (height > 34) { el.append(document.createElement("br"), make("span", "", `${clock(entry.from)}${entry.who ? " · " + entry.who : ""}`)) }
        el.onpointerdown = drag(el, entry, columns, false)
        if (entry.movable && entry.kind === "meeting") { const grip = make("div", "grip"); grip.onpointerdown = drag(el, entry, columns, true); el.append(grip) }
        column.append(el)
      }
      if (one.today) { const now = make("div", "now"); now.style.top = `${data.now / 60 * HOUR}px`; column.append(now) }
      columns.push(column)
      grid.append(column)
    }
    part.append(names, all, grid)
    return part
  }

  const draw = () => {
    const narrow = root.clientWidth > 0 && root.clientWidth < NARROW
    const view = narrow && data.view !== "day" ? "agenda" : data.view
    if (root.dataset.drawn === view && root.dataset.at === data.at) return
    root.dataset.drawn = view; root.dataset.at = data.at
    root.replaceChildren(view === "agenda" ? agenda() : view === "month" ? month() : week())
    const grid = root.querySelector(".grid")
    if (grid) grid.scrollTop = kept.top || 7.5 * HOUR
    if (kept.key) [...root.querySelectorAll("[data-key]")].find((el) => el.dataset.key === kept.key)?.focus({ preventScroll: true })
  }
  root.dataset.drawn = ""
  draw()
  const watcher = new ResizeObserver(draw)
  watcher.observe(root)
  return () => watcher.disconnect()
}
