"""The viewer in a browser: what a person sees, hears and presses."""

import colorsys
import io
import threading

import numpy as np
import pytest
from helpers import needs
from helpers.viewer_site import NUM_FRAMES, TAKES, WORDS, make_site, served

from pipeline.motion.skeleton import forward_kinematics
from pipeline.view.catalogue import Catalogue
from pipeline.view.server import Server, Shelf
from pipeline.view.sources import open_source

SOFTWARE = [
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
"""3-D drawn by the processor, the page put together without it (six times as fast), sound without a click."""
OWN_WARNING = "GPU stall due to ReadPixels"
"""What Chromium then says of itself."""
TAKE, OTHER = TAKES
WAIT = 60_000
"""Milliseconds that a slow machine may take; nothing waits for longer than it must."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of the viewer, its address, and its scenes by take."""
    needs.browser()
    folder = tmp_path_factory.mktemp("site")
    scenes = make_site(folder)
    with served(folder) as address:
        yield folder, address, scenes


@pytest.fixture(scope="module")
def browser(site):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.browser(), args=SOFTWARE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page of desktop size; what its console says fails the test."""
    yield from opened(browser, viewport={"width": 1280, "height": 800})


def opened(browser, **options):
    context = browser.new_context(**options)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.said = said
    yield page
    context.close()
    assert [line for line in said if line.startswith(("error", "warning")) and OWN_WARNING not in line] == []


def see(page, address: str) -> None:
    """Open an address and wait for its take."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("window.viewer && viewer.state().ready", timeout=WAIT)


def state(page) -> dict:
    return page.evaluate("viewer.state()")


def drawn(page) -> None:
    """Wait until all that was asked for is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(page) -> np.ndarray:
    """What is on the screen, (height, width, 3)."""
    from PIL import Image

    drawn(page)
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def test_the_list_opens_a_take(site, page):
    page.goto(f"{site[1]}/index.html")
    assert page.locator("a.take").count() == 2
    assert page.locator(".count").inner_text() == "2 takes"
    page.locator("a.take", has_text=OTHER).click()
    page.wait_for_function("viewer.state().ready", timeout=WAIT)
    assert state(page)["take"] == OTHER
    assert page.title() == OTHER
    assert "Joy é" in page.locator("#facts").inner_text()
    page.keyboard.press("p")
    page.wait_for_function(f"viewer.state().ready && viewer.state().take === '{TAKE}'", timeout=WAIT)


def test_plays_with_sound_for_two_seconds(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    page.locator("#play").click()
    page.wait_for_function("viewer.state().time >= 2", timeout=WAIT)
    playing, time, heard = page.evaluate(
        "(() => { const { playing, time } = viewer.state();"
        " return [playing, time, document.querySelector('audio').currentTime]; })()"
    )
    assert playing and time < NUM_FRAMES / 30
    assert abs(time - heard) < 0.1
    pictures = state(page)["pictures"]
    page.keyboard.press(" ")
    stopped = state(page)
    assert not stopped["playing"] and stopped["sound"]
    assert pictures > 2
    assert abs(stopped["time"] * 30 - round(stopped["time"] * 30)) < 1e-6  # on a frame
    assert abs(page.evaluate("document.querySelector('audio').currentTime") - stopped["time"]) < 1e-3
    drawn(page)
    still = state(page)["pictures"]
    page.wait_for_timeout(300)
    assert state(page)["pictures"] == still  # nothing is drawn while nothing changes


def test_speed_changes_the_sound_and_keeps_its_pitch(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    page.locator("#speed").select_option("0.5")
    sound = page.evaluate("(({ playbackRate, preservesPitch }) => [playbackRate, preservesPitch])"
                          "(document.querySelector('audio'))")  # fmt: skip
    assert sound == [0.5, True]
    page.keyboard.press("=")
    assert state(page)["speed"] == 0.75


def test_a_loop_goes_round_and_playing_stops_at_the_end(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}&t=1")
    page.keyboard.press("[")
    page.evaluate("viewer.seek(1.4)")
    page.keyboard.press("]")
    assert np.allclose(state(page)["loop"], [1, 1.4])
    assert page.locator(".region").is_visible()
    page.evaluate("window.seen = []; setInterval(() => seen.push(viewer.state().time), 20)")
    page.keyboard.press(" ")
    page.wait_for_function("seen.filter((time, i) => i && time < seen[i - 1]).length >= 2", timeout=WAIT)
    seen = np.array(page.evaluate("seen"))
    assert seen.max() < 1.6 and seen[5:].min() >= 1 - 1e-6
    page.keyboard.press("\\")
    page.evaluate(f"viewer.seek({NUM_FRAMES / 30 - 0.3})")
    page.wait_for_function("!viewer.state().playing", timeout=WAIT)
    assert abs(state(page)["time"] - (NUM_FRAMES - 1) / 30) < 1e-6


def test_a_click_on_a_word_goes_there(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    page.locator("#panel .word", has_text="there.").click()
    assert state(page)["time"] == WORDS[1][1]["start"]
    drawn(page)
    assert page.locator("#panel .word.now").inner_text() == "there."
    assert page.locator("#captions .now").inner_text().strip() == "there."
    page.locator("#timeline .span.said").first.click()
    assert state(page)["time"] == WORDS[0][0]["start"]
    page.keyboard.press("w")
    assert state(page)["time"] == WORDS[0][1]["start"]
    drawn(page)
    assert page.locator("#panel .word.now").inner_text() == "</script>"


@pytest.mark.parametrize(
    ("kind", "seconds"), [("contact", 3.3), ("fault", 4.0), ("action.stand", 2.0), ("faces", 0.0)]
)
def test_a_click_on_a_track_goes_there(site, page, kind, seconds):
    see(page, f"{site[1]}/index.html#take={TAKE}&t=1")
    page.locator(f"#timeline .span.{kind}").first.click(position={"x": 2, "y": 3})
    assert state(page)["time"] == seconds


def test_an_empty_place_of_a_track_moves_the_playhead(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    box = page.locator("#timeline .track.wave").first.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 5)
    assert abs(state(page)["time"] - 2.5) < 0.04


def test_generated_beside_and_over_and_other_samples(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    one = pixels(page)
    page.keyboard.press("g")
    assert state(page)["show"] == ["captured", "trained_models"]
    labels = page.locator(".panel:not(.face)").all_inner_texts()
    assert labels == ["captured", "trained models"]
    assert page.locator(".panel.face").count() == 4
    beside = pixels(page)
    page.keyboard.press("o")
    over = pixels(page)
    assert state(page)["view"] == "over" and page.locator(".panel:not(.face)").count() == 1
    assert (one != beside).any() and (beside != over).any()
    page.keyboard.press("s")
    assert state(page)["show"] == ["captured", "trained_models/sample-01"]
    page.locator("#second").select_option("trained_models")
    assert state(page)["show"] == ["captured", "trained_models"]
    page.keyboard.press("g")
    assert state(page)["show"] == ["captured"]


def test_keys(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}&t=1")
    for key, time in (
        ("ArrowRight", 31),
        ("ArrowLeft", 30),
        ("Shift+ArrowRight", 60),
        ("End", 149),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert abs(state(page)["time"] * 30 - time) < 1e-6, key
    page.keyboard.press("x")
    assert state(page)["time"] == 3.3
    for key, camera in (("f", "follow:001"), ("f", "follow:002"), ("e", "eyes:002"), ("b", "both")):
        page.keyboard.press(key)
        assert state(page)["camera"] == camera
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert page.locator("#help tr").count() > 15
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    assert page.evaluate("document.querySelector('audio').muted")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("g ")  # writes, and does nothing else
    assert state(page)["show"] == ["captured"] and not state(page)["playing"]


def test_a_link_opens_take_time_variants_and_camera(site, page):
    link = f"{site[1]}/index.html#take={OTHER}&t=1.500&show=captured&view=over&camera=follow:002"
    see(page, link)
    seen = state(page)
    assert (seen["take"], seen["time"], seen["view"], seen["camera"]) == (OTHER, 1.5, "over", "follow:002")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.hash.includes('t=1.533')", timeout=WAIT)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy").click()
    page.wait_for_function("document.getElementById('toast').textContent", timeout=WAIT)
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.evaluate(f"location.hash = 'take={OTHER}&t=0.5'")
    page.wait_for_function("viewer.state().time === 0.5", timeout=WAIT)


@pytest.mark.parametrize("camera", ["both", "follow:002"])
def test_joints_are_where_forward_kinematics_says(site, page, camera):
    see(page, f"{site[1]}/index.html#take={TAKE}&camera={camera}")
    for frame in (0, 51, NUM_FRAMES - 1):
        page.evaluate(f"viewer.seek({frame / 30})")
        drawn(page)
        compare_joints(page, site[2][TAKE], frame)


def compare_joints(page, scene, frame: int) -> None:
    """Joints of the first variant on the screen, against their places through the camera's matrices."""
    seen = page.evaluate("viewer.camera()")
    view, projection = (np.array(seen[name]).reshape(4, 4).T for name in ("view", "projection"))
    left, top, width, height = seen["rect"]
    for k, performance in enumerate(scene.variants[0].performances):
        world = forward_kinematics(performance.motion.frames(slice(frame, frame + 1)))[0][0] / 100
        clip = np.c_[world, np.ones(len(world))] @ (projection @ view).T
        there = clip[:, :2] / clip[:, 3:] * [0.5, -0.5] * [width, height] + [
            left + width / 2,
            top + height / 2,
        ]
        for j, name in enumerate(performance.motion.names):
            assert np.allclose(page.evaluate(f"viewer.jointOnScreen({k}, {j})"), there[j], atol=0.05), name


def test_bodies_are_drawn_where_their_joints_are(site, page):
    """Pixels on the hips have the actor's hue, unless the other actor is before them."""
    see(page, f"{site[1]}/index.html#take={TAKE}&t=2")
    hues = [colorsys.rgb_to_hls(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))[0]
            for colour in ("#c2410c", "#1d4ed8")]  # fmt: skip
    found = [0, 0]
    for seconds in (0.5, 2.0, 4.5):
        page.evaluate(f"viewer.seek({seconds})")
        picture = pixels(page)
        for k in range(2):
            for joint in ("Spine", "LeftLeg", "RightLeg", "Hips"):
                x, y = page.evaluate(f"viewer.jointOnScreen({k}, '{joint}')")
                hue, _, full = colorsys.rgb_to_hls(*(picture[round(y), round(x)] / 255))
                found[k] += abs(hue - hues[k]) < 0.05 and full > 0.3
    assert min(found) >= 8, found  # of 12 places


def test_faces_move_with_their_weights(site, page):
    """A face's picture at two moments differs in the face, and is the same when time comes back."""
    see(page, f"{site[1]}/index.html#take={TAKE}&t=1")
    box = page.locator(".panel.face").first.bounding_box()
    cut = tuple(slice(round(box[a] + 0.3 * box[s]), round(box[a] + 0.7 * box[s]))
                for a, s in (("y", "height"), ("x", "width")))  # fmt: skip
    first = pixels(page)[cut].astype(int)
    page.evaluate("viewer.seek(3)")
    second = pixels(page)[cut].astype(int)
    page.evaluate("viewer.seek(1)")
    again = pixels(page)[cut].astype(int)
    assert np.abs(first - second).mean() > 2
    assert (first == again).all()


def test_a_page_that_carries_its_take_opens_from_disk(site, page):
    see(page, (site[0] / f"{TAKE}.html").as_uri())
    seen = state(page)
    assert (seen["take"], seen["sound"], seen["message"]) == (TAKE, True, "")
    page.keyboard.press(" ")
    page.wait_for_function("viewer.state().time > 0.3", timeout=WAIT)
    page.keyboard.press(" ")
    page.keyboard.press("g")
    assert state(page)["show"] == ["captured", "trained_models"]
    assert page.locator("#list-toggle").is_hidden()


def test_the_list_from_disk_leads_to_pages_of_takes(site, page):
    page.goto((site[0] / "index.html").as_uri())
    page.locator("a.take", has_text=TAKE).click()
    page.wait_for_function("window.viewer && viewer.state().ready", timeout=WAIT)
    assert page.url.split("#")[0] == (site[0] / f"{TAKE}.html").as_uri()


def test_thousands_of_takes_are_filtered_and_searched(site, page):
    page.goto(f"{site[1]}/many.html")
    assert page.locator(".count").inner_text() == "2002 takes"
    assert page.locator("a.take").count() < 60  # elements for what is in sight
    page.locator("select[name=relationship]").select_option("Parent / Child")
    page.locator("select[name=verdict]").select_option("check")
    page.locator("select[name=split]").select_option("test")
    wanted = [i for i in range(2000) if i % 3 == 1 and i % 5 == 0 and i % 4 == 0]
    assert page.locator(".count").inner_text() == f"{len(wanted)} of 2002 takes"
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.querySelector('.count').textContent === '2002 takes'")
    page.locator("select[name=order]").select_option("longest")
    assert page.locator("a.take .time").first.inner_text() == "189.0 s"
    page.locator("input[type=search]").fill("anger 008 _19")
    named = [i for i in range(2000) if i % 2 and i % 7 == 6 and "_19" in f"_{i:04}"]
    assert page.locator(".count").inner_text().startswith(f"{len(named)} of")
    page.locator("input[type=search]").fill("nobody")
    assert page.locator(".rows").inner_text() == "No take fits."


def test_the_list_is_used_with_the_keyboard(site, page):
    page.goto(f"{site[1]}/many.html")
    page.locator("input[type=search]").focus()
    page.keyboard.press("ArrowDown")
    place = "Number(document.activeElement.dataset.place)"
    assert page.evaluate(place) == 0
    page.keyboard.press("End")
    assert page.evaluate(place) == 2001
    assert page.evaluate("document.activeElement.getAttribute('aria-posinset')") == "2002"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(place) == 2000
    page.locator("input[type=search]").fill(OTHER)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_function("viewer.state().ready", timeout=WAIT)
    assert state(page)["take"] == OTHER


def test_a_take_that_is_not_there_says_what_the_server_says(site, browser):
    pages = opened(browser)
    page = next(pages)
    page.goto(f"{site[1]}/index.html#take=20990101_001")
    page.wait_for_function("viewer.state().message", timeout=WAIT)
    assert state(page)["message"] == "no take here: /takes/20990101_001/take.json"
    assert page.locator("#message").is_visible()
    for key in ("g", "o", "s", "f", " ", "w", "c", "[", "ArrowRight"):
        page.keyboard.press(key)  # with nothing to do it to
    page.evaluate(f"location.hash = 'take={TAKE}'")
    page.wait_for_function("viewer.state().ready", timeout=WAIT)
    assert page.locator("#message").is_hidden()
    page.said[:] = [line for line in page.said if "404" not in line]  # which the browser itself reports
    next(pages, None)


def test_of_takes_that_are_opened_at_once_the_last_stays(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}")
    page.evaluate(
        f"(async () => {{ for (const take of ['{OTHER}', '{TAKE}', '{OTHER}', '{TAKE}', '{OTHER}']) {{"
        " location.hash = 'take=' + take; await new Promise((done) => setTimeout(done, 15)); } })()"
    )
    page.wait_for_function(f"viewer.state().ready && viewer.state().take === '{OTHER}'", timeout=WAIT)
    assert page.locator("#title").inner_text() == OTHER
    assert page.evaluate("viewer.memory().sounds") == 1
    drawn(page)
    frame = round(state(page)["time"] * 30)
    compare_joints(page, site[2][OTHER], frame)


def test_the_server_of_the_viewer_serves_it_under_its_policy(site, page, tmp_path):
    """With the real server, whose policy lets the page load nothing of others and evaluate no text."""
    takes = Catalogue(open_source(site[0] / "run"))
    with Server(Shelf(takes, tmp_path), list(TAKES), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            page.goto(f"{server.url}#take={TAKE}&show=captured,trained_models")
            # the policy refuses wait_for_function, which evaluates a text in the page
            for _ in range(WAIT // 50):
                if state(page)["ready"] or state(page)["message"]:
                    break
                page.wait_for_timeout(50)
            seen = state(page)
            assert (seen["ready"], seen["sound"], seen["message"]) == (True, True, "")
            drawn(page)
            compare_joints(page, site[2][TAKE], 0)
            words = page.locator("#panel .word").all_inner_texts()
            assert sorted(words) == sorted(2 * ["Well,", "hello", "there."])
            page.keyboard.press("w")
            assert state(page)["time"] > 0
        finally:
            server.shutdown()
            thread.join()


def test_without_webgl_it_says_so_and_the_rest_works(site, page):
    page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return kind.includes('webgl') ? null : real.call(this, kind, ...more); };"
    )
    see(page, f"{site[1]}/index.html#take={TAKE}")
    assert "WebGL is missing or switched off" in page.locator("#message").inner_text()
    page.locator("#panel .word", has_text="hello").click()
    assert state(page)["time"] == WORDS[1][0]["start"]
    for key in ("g", "o", "f", "b", " "):
        page.keyboard.press(key)
    page.wait_for_function("viewer.state().time > 2.3", timeout=WAIT)


def test_what_a_take_held_is_given_back(site, page):
    see(page, f"{site[1]}/index.html#take={TAKE}&show=captured,trained_models&view=over")
    held = []
    for i in range(6):
        take = TAKES[(i + 1) % 2]
        page.evaluate(f"location.hash = 'take={take}'")
        page.wait_for_function(f"viewer.state().ready && viewer.state().take === '{take}'", timeout=WAIT)
        drawn(page)
        memory = page.evaluate("viewer.memory()")
        held.append((take, memory["geometries"], memory["textures"], memory["programs"], memory["sounds"]))
    assert held[0] == held[2] == held[4] and held[1] == held[3] == held[5]
    assert held[0][1] < 30


def test_a_phone_shows_all_parts(site, browser):
    pages = opened(browser, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = next(pages)
    page.goto(f"{site[1]}/index.html")
    assert page.locator("header select:visible").count() == 0  # nothing is open that they could show
    see(page, f"{site[1]}/index.html#take={TAKE}")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for part in ("#stage canvas", ".panel.face >> nth=1", "#play", "#seek", "#timeline", "#panel"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390.5 and box["y"] + box["height"] <= 844.5, part
    page.locator("#panel .word", has_text="Well,").tap()
    assert state(page)["time"] == WORDS[0][0]["start"]
    page.locator("#list-toggle").tap()
    page.locator("a.take", has_text=OTHER).tap()
    page.wait_for_function(f"viewer.state().ready && viewer.state().take === '{OTHER}'", timeout=WAIT)
    assert page.locator("#list").is_hidden()
    next(pages, None)
