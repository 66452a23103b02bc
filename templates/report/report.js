(function () {
  var cases = Array.from(document.querySelectorAll(".case"));
  var buttons = Array.from(document.querySelectorAll(".filters button"));
  var suite = document.querySelector(".filters select");
  var count = document.getElementById("count"), empty = document.getElementById("empty");
  if (!suite) return;
  var show = "all", ids = null;
  function fits(card) {
    if (ids && !ids.has(card.dataset.id)) return false;
    if (suite.value && card.dataset.suite !== suite.value) return false;
    return show === "all" || card.dataset.change === show || (show === "failing" && card.dataset.failing === "1");
  }
  function draw() {
    var left = 0;
    cases.forEach(function (card) { card.hidden = !fits(card); left += card.hidden ? 0 : 1; });
    buttons.forEach(function (button) { button.setAttribute("aria-pressed", String(!ids && button.dataset.show === show)); });
    count.textContent = left + " shown"; empty.hidden = left > 0;
  }
  buttons.forEach(function (button) { button.addEventListener("click", function () { show = button.dataset.show; ids = null; draw(); }); });
  suite.addEventListener("change", draw);
  document.querySelectorAll("a[data-ids]").forEach(function (link) {
    link.addEventListener("click", function () { ids = new Set(link.dataset.ids.split(" ")); show = "all"; suite.value = ""; draw(); });
  });
  draw();
})();
