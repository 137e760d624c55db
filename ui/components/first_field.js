const done = new WeakSet()

export default function () {
  const look = (tries) => {
    const dialogs = document.querySelectorAll('[role="dialog"]')
    const dialog = dialogs[dialogs.length - 1]
    const field = dialog && dialog.querySelector('input[data-testid="stTextInputField"], input[type="text"], input[type="search"], textarea')
    if (!field) { if (tries) setTimeout(() => look(tries - 1), 60); return }
    if (done.has(dialog)) return
    done.add(dialog)
    if (!dialog.contains(document.activeElement) || !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) field.focus()
  }
  setTimeout(() => look(20), 0)
}
