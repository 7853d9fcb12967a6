// The tab that was open comes back when the page is loaded again.
() => {
  const KEY = "sightline.tab";
  try {
    document.addEventListener("click", (event) => {
      const tab = event.target.closest?.("button[role=tab]");
      if (tab?.id) sessionStorage.setItem(KEY, tab.id);
    });
    const id = sessionStorage.getItem(KEY);
    if (id) document.getElementById(id)?.click();
  } catch {
    // a browser that keeps nothing
  }
}
