(function () {
  document.querySelectorAll(".copy").forEach(function (button) {
    button.addEventListener("click", function () {
      if (!navigator.clipboard) return;
      navigator.clipboard.writeText(button.dataset.copy).then(function () { button.classList.add("done"); });
    });
  });
  var list = document.getElementById("cases");
  if (!list) return;
  var cases = Array.from(list.children), inOrder = cases.slice();
  var buttons = Array.from(document.querySelectorAll(".filters button"));
  var suite = document.querySelector("[data-by=suite]"), order = document.querySelector("[data-by=order]");
  var search = document.querySelector(".filters input");
  var count = document.getElementById("count"), empty = document.getElementById("empty");
  var show = "all", ids = null;
  function number(card, name) { return Number(card.dataset[name]); }
  function fits(card) {
    if (ids && !ids.has(card.dataset.id)) return false;
    if (suite.value && card.dataset.suite !== suite.value) return false;
    if (search.value && card.textContent.toLowerCase().indexOf(search.value.toLowerCase()) < 0) return false;
    return show === "all" || card.dataset.change === show || (show === "failing" && card.dataset.failing === "1");
  }
  function sort() {
    var by = order.value === "file" ? null : order.value;
    inOrder = cases.slice();
    if (by) inOrder.sort(function (one, other) { return number(other, by) - number(one, by); });
    inOrder.forEach(function (card) { list.appendChild(card); });
  }
  function draw() {
    var left = 0;
    cases.forEach(function (card) { card.hidden = !fits(card); left += card.hidden ? 0 : 1; });
    buttons.forEach(function (button) { button.setAttribute("aria-pressed", String(!ids && button.dataset.show === show)); });
    count.textContent = left + " shown"; empty.hidden = left > 0;
  }
  buttons.forEach(function (button) { button.addEventListener("click", function () { show = button.dataset.show; ids = null; draw(); }); });
  suite.addEventListener("change", draw);
  search.addEventListener("input", draw);
  order.addEventListener("change", sort);
  document.querySelectorAll("a[data-ids]").forEach(function (link) {
    link.addEventListener("click", function () { ids = new Set(link.dataset.ids.split(" ")); show = "all"; suite.value = ""; search.value = ""; draw(); });
  });
  sort();
  draw();
})();
