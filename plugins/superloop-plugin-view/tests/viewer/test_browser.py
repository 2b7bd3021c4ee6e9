"""The page in headless Chromium, offline. Skipped where Playwright or Chromium is not installed."""

import shutil
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.image import imread
from superloop_plugin_view import Recording, view, what_if

from superloop_core import Superloop, Traces, TraceView
from superloop_core.task import Annotation

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.release, pytest.mark.xdist_group("chromium")]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESK, PHONE = (1280, 900), (360, 740)
GOLDEN = Path(__file__).with_name("memory.png")
READBACK = "willReadFrequently"  # a hint on the reading of pixels, which the tests do
STARTED = "body[data-ready]"


@pytest.fixture(scope="module")
def browser():
    """A browser that is installed; Playwright's own if there is one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as tools:
        own = Path(tools.chromium.executable_path)
        if found is None and not own.exists():
            pytest.skip("no Chromium is installed")
        running = tools.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page from the disk without network; fails on any error and any request for more."""
    problems = []
    contexts = []

    def open_page(page, size=DESK, scheme="light"):
        file = tmp_path / f"{len(contexts)}.html"
        page.save(file)
        width, height = size
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
        )
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: problems.extend([message.text] * (READBACK not in message.text)))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.on("request", lambda request: problems.extend([request.url] * (request.url != file.as_uri())))
        tab.goto(file.as_uri())
        tab.wait_for_selector(STARTED)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def memory(sequences=2, timesteps=20, slots=6, width=3):
    """A memory in which each number says where it stands: 1.23 is slot 2, number 3 of sequence 1."""
    cells = np.arange(slots)[:, None] / 10 + np.arange(width) / 100
    rows = np.arange(sequences)[:, None, None, None]
    moving = np.arange(timesteps)[:, None, None] * 10
    weights = np.eye(slots)[np.arange(timesteps) % slots]
    return Traces(
        arrays={
            "memo.memory": (rows + moving + cells).astype("float32"),
            "memo.read_weights": np.repeat(weights[None, :, None], sequences, axis=0),
        },
        views={
            "memo.memory": TraceView("slots", "slot", "number"),
            "memo.read_weights": TraceView("weights", "head", "slot"),
        },
    )


def at(tab):
    return int(tab.locator("#slider").input_value())


def settled(tab):
    """Wait until what was asked for is drawn."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def centre(tab, row, column, panel=0):
    """The middle of a cell of a memory on the screen."""
    return tab.evaluate(
        """([panel, row, column]) => {
          const shown = panes[0].panels[panel], box = shown.canvas.getBoundingClientRect();
          const { x, cells, top, row: high } = shown.layout(shown.width);
          const across = x + (column + 0.5) * cells / shown.memory.width;
          return [box.left + across, box.top + top + (row + 0.5) * high];
        }""",
        [panel, row, column],
    )


def test_the_slider_and_the_keys_move_through_the_timesteps(opened):
    tab = opened(view(memory()))
    assert at(tab) == 0
    moves = {
        "ArrowRight": 1, "Shift+ArrowRight": 11, "ArrowLeft": 10, "End": 19, "Home": 0, "PageDown": 0,
    }  # fmt: skip
    for key, place in moves.items():
        tab.keyboard.press(key)
        settled(tab)
        assert (key, at(tab)) == (key, place)
    tab.locator("#slider").focus()
    tab.keyboard.press("PageUp")
    settled(tab)
    assert at(tab) == 10
    assert tab.locator("#slider").get_attribute("aria-valuetext").startswith("timestep 10 of 19")
    box = tab.locator("#slider").bounding_box()
    tab.mouse.click(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    settled(tab)
    assert at(tab) == 19
    for button, place in {"first": 0, "forward": 1, "back": 0, "last": 19}.items():
        tab.click(f"#{button}")
        settled(tab)
        assert at(tab) == place


def test_play_goes_to_the_end_and_stops(opened):
    tab = opened(view(memory()))
    tab.select_option("#speed", "32")
    tab.locator("#main").focus()
    tab.keyboard.press("Space")
    assert tab.locator("#play").get_attribute("aria-label") == "Stop"
    playwright.expect(tab.locator("#slider")).to_have_value("19")
    playwright.expect(tab.locator("#play")).to_have_attribute("aria-label", "Play")
    tab.click("#play")  # from the beginning
    tab.click("#play")
    settled(tab)
    assert at(tab) < 19


def test_pointing_at_a_cell_shows_its_number_at_the_timestep(opened):
    tab = opened(view(memory()))
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    settled(tab)
    tab.mouse.move(*centre(tab, 4, 2))
    assert tab.locator("#tip").inner_text() == "memory, slot 4, number 2\n20.4"  # 20.42 in 3 digits
    tab.mouse.move(*centre(tab, 0, 1))
    assert tab.locator("#tip").inner_text() == "memory, slot 0, number 1\n20.0"
    tab.mouse.move(5, 5)
    assert tab.locator("#tip").is_hidden()


def test_a_click_into_a_heat_map_goes_to_its_timestep(opened):
    tab = opened(view(memory()))
    box = tab.locator("canvas.timed").first.bounding_box()
    step = (box["width"] - 44 - 8) / 20
    tab.mouse.click(box["x"] + 44 + 7.5 * step, box["y"] + 10)
    settled(tab)
    assert at(tab) == 7
    assert tab.locator("#tip").inner_text().startswith("timestep 7\nread_weights, ")


def test_another_sequence_can_be_chosen(opened):
    notes = [Annotation(title=f"title {row}", system="") for row in range(2)]
    tab = opened(view(memory(), annotations=notes, correct=[True, False]))
    assert tab.locator("h2", has_text="title 0").inner_text() == "title 0 ✓ correct"
    tab.select_option("select[aria-label='Sequence of A']", "1")
    settled(tab)
    tab.mouse.move(*centre(tab, 2, 2))
    assert tab.locator("#tip").inner_text().endswith("\n1.22")
    assert tab.locator("h2", has_text="title 1").inner_text() == "title 1 ✗ wrong"


def test_two_sequences_are_locked_in_time_and_so_is_their_difference(opened):
    tab = opened(view(memory()))
    tab.select_option("#mode", "two")
    tab.keyboard.press("Escape")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("ArrowRight")
    settled(tab)
    shown = "panes.map((pane) => { const t = pane.traces[0]; return t.numbers[t.at(pane.sequence, now)]; })"
    assert tab.evaluate(shown) == [10, 11]
    left, right = (pane.bounding_box() for pane in tab.locator(".pane").all())
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    tab.select_option("#mode", "difference")
    settled(tab)
    assert tab.evaluate(shown) == [10, 1]


def test_the_difference_of_two_runs_is_right_to_three_digits_of_its_own(opened):
    before, after = memory(), memory()
    change = np.zeros((2, 20, 6, 3))
    change[0, 5:, 2, 1] = 1.234e-5
    moved = {**after.arrays, "memo.memory": before["memo.memory"].astype(float) + change}
    exact = {**before.arrays, "memo.memory": before["memo.memory"].astype(float)}
    page = view(
        Recording(traces=Traces(arrays=exact, views=before.views), name="before"),
        Recording(traces=Traces(arrays=moved, views=after.views), name="after"),
    )
    tab = opened(page)
    tab.select_option("#mode", "difference")
    tab.click("text=memo.memory from timestep 5")
    settled(tab)
    assert at(tab) == 5
    less = tab.evaluate("panes[1].traces[0].numbers[panes[1].traces[0].at(0, 5) + 2 * 3 + 1]")
    np.testing.assert_allclose(less, 1.234e-5, rtol=1e-3)
    assert tab.evaluate("panes[1].traces[0].numbers.filter((one) => one !== 0).length") == 15


def test_tokens_stand_along_the_slider_and_wrong_ones_are_marked(opened):
    answers, targets = np.zeros((2, 20), int), np.zeros((2, 20), int)
    targets[0, 3] = 7
    page = view(memory(), inputs=[[f"w{t}" for t in range(20)]] * 2, answers=answers, targets=targets)
    tab = opened(page)
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    settled(tab)
    said = "timestep 3 of 19: input w3, answer 0, wrong: should be 7"
    assert tab.locator("#now").inner_text() == said
    assert tab.locator("#slider").get_attribute("aria-valuetext") == said
    assert "missed" in tab.locator("#now").get_attribute("class")
    red = """() => {
      const canvas = strips[0].canvas, pen = canvas.getContext("2d"), step = strips[0].step();
      const wrong = [179, 18, 60];
      return [2, 3, 4].map((t) => {
        const found = pen.getImageData(68 + t * step - 12, 0, 24, canvas.height).data;
        let count = 0;
        for (let i = 0; i < found.length; i += 4)
          count += wrong.every((level, c) => Math.abs(found[i + c] - level) < 12) && found[i + 3] > 200;
        return count > 4;
      });
    }"""
    assert tab.evaluate(red) == [False, True, False]


def test_light_and_dark_follow_the_system_and_a_switch(opened):
    def colors(tab):
        return tab.evaluate(
            "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
        )

    light, dark = (opened(view(memory()), scheme=scheme) for scheme in ("light", "dark"))
    assert colors(light) != colors(dark)
    light.select_option("#theme", "dark")
    assert colors(light) == colors(dark)
    dark.select_option("#theme", "light")
    dark.emulate_media(color_scheme="light")
    assert colors(dark)[0] == "rgb(255, 255, 255)"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("mode", ["one", "two", "difference"])
def test_every_kind_is_drawn_within_the_width(opened, every_kind, size, mode):
    words = [[f"a long word {t}" for t in range(12)]] * 2
    tab = opened(view(every_kind(), inputs=words, answers=words, targets=words), size=size)
    tab.select_option("#mode", mode)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    settled(tab)
    tab.evaluate("seek(6)")
    settled(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
    blank = tab.evaluate(
        """[...document.querySelectorAll("main figure canvas:not(.scale)")].filter((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return canvas.clientWidth && !data.some(Boolean);
        }).map((canvas) => canvas.getAttribute("aria-label"))"""
    )
    assert blank == []


def test_screen_readers_find_headings_in_order_and_names_of_all_pictures(opened, every_kind):
    tab = opened(view(every_kind()))
    seen = "[...document.querySelectorAll('h1,h2,h3,h4')].filter((one) => one.checkVisibility())"
    levels = [int(level) for level in tab.evaluate(f"{seen}.map((one) => one.tagName[1])")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    unnamed = tab.evaluate(
        """[...document.querySelectorAll("main canvas[role=img], button, select, input")]
          .filter((one) => one.checkVisibility() && !one.getAttribute("aria-label"))
          .filter((one) => !one.textContent.trim() && !one.closest("label")).length"""
    )
    assert unnamed == 0
    label = tab.locator("figure:has(h4:text-is('actions and gates')) canvas[role=img]").first
    assert "largest" in label.get_attribute("aria-label")
    tab.locator("summary", has_text="Numbers at this timestep").first.click()
    playwright.expect(tab.locator("table td").first).to_be_visible()


def test_names_and_tokens_of_a_stranger_run_nothing(opened):
    evil, end = "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>"
    traces = Traces(
        arrays={f"{evil}.{end}": np.random.default_rng(0).random((1, 3, 4))},
        views={f"{evil}.{end}": TraceView("actions", end)},
        labels={f"{evil}.{end}": (evil, end, "<b>", "&amp;")},
    )
    note = Annotation(title=end, system=evil, slots=(evil, end, "<b>", "c"))
    tokens = [[evil, end, "<b>"]]
    tab = opened(
        view(traces, inputs=tokens, answers=tokens, targets=[[end] * 3], annotations=[note], title=end)
    )
    assert tab.locator("#title").inner_text() == end
    assert tab.locator("h3").first.inner_text() == evil
    assert tab.locator("main img, main script, main b").count() == 0
    tab.mouse.move(*tab.locator("figure canvas").first.evaluate(
        "(canvas) => { const box = canvas.getBoundingClientRect(); return [box.left + 20, box.top + 8]; }"
    ))  # fmt: skip
    assert evil in tab.locator("#tip").inner_text()


def test_a_notebook_shows_the_page_in_a_frame(opened, browser):
    del opened  # its checks are of files
    tab = browser.new_page()
    errors = []
    tab.on("console", lambda message: errors.append(message.text))
    tab.set_content(view(memory())._repr_html_())
    frame = tab.frame_locator("iframe")
    frame.locator(STARTED).wait_for()
    frame.locator("#forward").click()
    playwright.expect(frame.locator("#now")).to_have_text("timestep 1 of 19")
    tab.close()
    assert errors == []


def test_print_shows_the_timestep_in_light_without_buttons(opened):
    tab = opened(view(memory()), scheme="dark")
    tab.emulate_media(media="print")
    assert tab.locator("#play").is_hidden()
    assert tab.locator("#now").is_visible()
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_picture_of_a_memory_is_the_one_that_was_looked_at(opened, every_kind, tmp_path):
    traces = every_kind().select("dnc.*")
    tab = opened(view(traces), size=(800, 700))
    tab.evaluate("seek(6)")
    settled(tab)
    figure = tab.locator("figure:has(h4:text-is('memory')) .frame").first
    figure.screenshot(path=tmp_path / "found.png")
    found = imread(tmp_path / "found.png")[..., :3]
    wanted = imread(GOLDEN)[..., :3]
    assert found.shape == wanted.shape
    differs = np.abs(found - wanted).max(axis=-1)
    assert differs.mean() < 0.005  # fonts differ between machines
    assert (differs > 0.15).mean() < 0.01


def test_a_cell_has_the_color_of_its_number(opened):
    """Against the anchors of the scale, interpolated by NumPy; contents follow the square root."""
    tab = opened(view(memory(sequences=1)))
    tab.evaluate("seek(9)")
    settled(tab)
    anchors = tab.evaluate("SCALES.light.one").split()
    levels = np.array([[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in anchors])
    for row, column in [(0, 0), (3, 1), (5, 2)]:
        share = np.sqrt((90 + row / 10 + column / 100) / 190.52)
        wanted = [np.interp(share * (len(levels) - 1), range(len(levels)), level) for level in levels.T]
        x, y = centre(tab, row, column)
        found = tab.evaluate(
            """([x, y]) => {
              const canvas = panes[0].panels[0].canvas, box = canvas.getBoundingClientRect();
              const pixel = canvas.getContext("2d").getImageData(x - box.left, y - box.top, 1, 1);
              return [...pixel.data].slice(0, 3);
            }""",
            [x, y],
        )
        np.testing.assert_allclose(found, wanted, atol=3)


def test_a_number_is_clicked_and_changed_and_the_difference_is_shown(browser):
    keras.utils.set_random_seed(0)
    stack = {"use": "stack", "id": "memo", "depth": 4, "width": 2}
    loop = Superloop(inputs=2, outputs=2, cells=[{"use": "lstm", "units": 3}], systems=[stack])
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    loop(x)
    problems = []
    with what_if(loop, x) as live:
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        tab.on("console", lambda message: problems.extend([message.text] * (message.type == "error")))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(live.url)
        tab.wait_for_selector(STARTED)
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")
        settled(tab)
        tab.mouse.click(*centre(tab, 1, 0))
        assert [tab.input_value(f"#what-if-{name}") for name in ("at", "row", "set", "entry")] == [
            "2", "0", "memo.cells", "0, 1, 0",
        ]  # fmt: skip
        tab.wait_for_function("document.activeElement.id === 'what-if-value'")
        tab.keyboard.type("2.5")
        with tab.expect_navigation():
            tab.keyboard.press("Enter")
        tab.wait_for_selector(STARTED)
        assert at(tab) == 2
        shown = (
            "([pane]) => panes[pane].panels[0].memory.numbers[panes[pane].panels[0].memory.at(0, now) + 2]"
        )
        assert tab.evaluate(shown, [1]) == 2.5
        tab.select_option("#mode", "difference")
        assert "memo.cells from timestep 2" in tab.inner_text("main")
        tab.click("text=Undo")
        tab.wait_for_selector(STARTED)
        assert tab.evaluate("runs.length") == 1
        tab.close()
    assert problems == []
