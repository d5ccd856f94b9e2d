"""What a user sees of a search in a browser."""

import json
import signal

import pytest

from tests.checkpoints import all_folds, write_search
from tests.dashboard.test_page import say

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOSTILE = "</script><script>hacked=1</script><img src=x onerror='hacked=1'>"

SEARCH = """
import sys
from resumable_search import ResumableGridSearchCV
from tests.fakes import Logged
import numpy as np

log, n = sys.argv[1], int(sys.argv[2])
X, y = np.arange(24.0).reshape(12, 2), np.array([0, 1] * 6)
grid = {"value": [float(i) for i in range(n)], "seconds": [0.4]}
ResumableGridSearchCV(
    Logged(log), grid, cv=3, n_jobs=2, checkpoint="checkpoint.sqlite", refit=False
).fit(X, y)
"""


def text(browser, selector):
    # At once: the page may put another element in its place.
    script = "return document.querySelector(arguments[0])?.innerText ?? ''"
    return browser.execute_script(script, selector)


def wait(browser, condition, seconds=60):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, poll_frequency=0.2).until(
        lambda _: condition()
    )


def n_done(browser):
    found = text(browser, "#counts").split()
    return int(found[0]) if found else 0


def errors(browser):
    return [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]


def test_a_search_is_followed_while_it_runs_is_killed_and_goes_on(
    browser, dashboard, script, path, tmp_path
):
    """The page that is open needs no reload for any of it."""
    first = script(SEARCH, tmp_path / "log", 10)
    wait(browser, lambda: path.exists() and path.stat().st_size, 60)
    client = dashboard()
    browser.get(client.url)
    wait(browser, lambda: n_done(browser) >= 4)
    wait(browser, lambda: text(browser, "#state b") == "Running")
    wait(browser, lambda: "value=" in text(browser, "#workers tbody"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait(browser, lambda: text(browser, "#state b") == "Died")
    assert "fit it again to go on" in text(browser, "#state")
    at_the_kill = n_done(browser)
    assert at_the_kill < 30
    second = script(SEARCH, tmp_path / "log", 12)
    wait(browser, lambda: n_done(browser) > at_the_kill)
    assert second.wait(120) == 0
    wait(browser, lambda: text(browser, "#state b") == "Finished")
    assert text(browser, "#counts").startswith("36 of 36 folds finished")
    assert len(browser.find_elements("css selector", "#folds tbody tr")) == 12
    assert len(browser.find_elements("css selector", "#folds .fold.d")) == 36
    assert errors(browser) == []


def test_a_search_that_was_not_finished_is_told_of(browser, dashboard, path):
    """With its estimator, how it ended, and what to do; failed folds are no end."""
    write_search(path, [{"a": 1}], {(0, 0): None, (0, 1): 0.5})
    browser.get(dashboard().url)
    wait(browser, lambda: text(browser, "#state b") == "Stopped")
    assert text(browser, "h1") == (
        "ResumableGridSearchCV of sklearn.svm._classes.SVC, search 1"
    )
    assert text(browser, "#counts").endswith("1 candidate on 3 splits")
    write_search(path, [{"a": 1}], {(0, 2): 0.5})
    wait(browser, lambda: text(browser, "#state b") == "Finished")
    assert text(browser, "#state").endswith(
        "fit it again to try the failed folds again"
    )


def test_workers_are_shown_as_the_status_tells_of_them(browser, dashboard, path):
    """Where they are, how long, how far; the fold that runs is marked."""
    from resumable_search._records import LiveWorker

    write_search(path, [{"a": 1}, {"a": 2}], {(0, 0): 0.5})
    device = "GPU-8f3a1c2d-0000-0000"
    say(
        path,
        workers=(
            LiveWorker(
                number=0,
                pid=7,
                device=device,
                candidate=1,
                split=2,
                epoch=3,
                n_epochs=9,
            ),
            LiveWorker(number=1, pid=8),
        ),
    )
    browser.get(dashboard().url)
    wait(browser, lambda: text(browser, "#workers tbody"))
    busy, idle = browser.find_elements("css selector", "#workers tbody tr")
    cells = [cell.text for cell in busy.find_elements("css selector", "td")]
    assert cells[:4] == ["0", "GPU-8f3a1c2d", "1", "2"]
    assert cells[5:] == ["3 of 9", "a=2"]
    assert "nothing to do" in idle.text
    assert len(browser.find_elements("css selector", "#folds .fold.r")) == 1
    assert text(browser, "#state").startswith("Running for 1 min")
    assert "about 1 min 30 s left" in text(browser, "#state")


@pytest.mark.parametrize(
    "page", ["/", "/dashboard/studies/0", "/dashboard/studies/0/trials"]
)
def test_hostile_texts_stay_texts(browser, dashboard, path, page):
    """Of parameters and of tracebacks; nothing is fetched from elsewhere."""
    grid = [{HOSTILE: HOSTILE, "b": i} for i in range(4)]
    scores = all_folds(4) | {(1, 0): None}
    write_search(path, grid, scores, errors={(1, 0): f"Traceback:\n{HOSTILE}"})
    client = dashboard()
    if page != "/":
        pytest.importorskip("optuna_dashboard")
    browser.get(client.url + page)
    shown = "onerror='hacked=1'" if page != "/dashboard/studies/0" else "History"
    wait(browser, lambda: shown in text(browser, "body"))
    assert browser.execute_script("return typeof hacked") == "undefined"
    sources = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert sources
    assert all(s.startswith((client.url, "data:", "blob:")) for s in sources), sources
    assert errors(browser) == []


def test_what_is_open_stays_open_while_the_page_follows(browser, dashboard, path):
    """A traceback that somebody reads."""
    write_search(path, [{"a": 1}, {"a": 2}], {(0, 0): None})
    browser.get(dashboard().url)
    wait(browser, lambda: browser.find_elements("css selector", "#errors summary"))
    browser.find_element("css selector", "#errors summary").click()
    write_search(path, [{"a": 1}, {"a": 2}], {(0, 1): None, (1, 1): 0.5})
    wait(browser, lambda: text(browser, "#errors summary").startswith("2 "))
    assert "ValueError: no" in text(browser, "#errors pre")


def test_many_candidates_are_shown_in_part_until_all_are_asked_for(
    browser, dashboard, path
):
    """And in the order that was chosen."""
    write_search(path, [{"a": i} for i in range(300)], all_folds(300, 1), n_splits=1)
    browser.get(dashboard().url)
    rows = "return document.querySelectorAll('#folds tbody tr').length"
    wait(browser, lambda: browser.execute_script(rows) == 100)
    order = browser.find_element("css selector", "#order option[value=score]")
    order.click()
    first = "#folds tbody tr:first-child td"
    wait(browser, lambda: text(browser, first) == "299")
    browser.find_element("css selector", "#more").click()
    assert browser.execute_script(rows) == 300


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_the_page_fits_into_its_window(browser, dashboard, path, width):
    """Long words and many splits wrap or scroll inside their table."""
    grid = [{"pipeline__model__" + "x" * 60: "y" * 200}]
    write_search(path, grid, {(0, 0): 0.5}, n_splits=60)
    browser.set_window_size(width, 900)
    browser.get(dashboard().url)
    wait(browser, lambda: text(browser, "#best"))
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    assert browser.execute_script(overflow) <= 0


def test_a_dashboard_that_was_stopped_is_told_of(browser, script, path):
    """And is followed again when it is there again."""
    write_search(path, [{"a": 1}], {(0, 0): 0.5})
    serve = """
    import sys
    from resumable_search._dashboard.server import serve
    def announce(text):
        print(text, flush=True)
    serve(sys.argv[1], port=int(sys.argv[2]), announce=announce)
    """
    first = script(serve, path, 0)
    url = first.stdout.readline().split()[0]
    browser.get(url)
    wait(browser, lambda: n_done(browser) == 1)
    first.kill()
    first.wait()
    wait(browser, lambda: "does not answer" in text(browser, "#problem"))
    write_search(path, [{"a": 1}], {(0, 1): 0.5})
    script(serve, path, url.rstrip("/").rpartition(":")[2])
    wait(browser, lambda: n_done(browser) == 2)
    assert not browser.find_element("css selector", "#problem").is_displayed()


# ---------------------------------------------------------------------------
# Optuna's dashboard


@pytest.fixture
def plots(dashboard, path):
    pytest.importorskip("optuna_dashboard")
    write_search(path, [{"a": i} for i in range(4)], all_folds(4) | {(3, 0): None})
    return dashboard()


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("/dashboard", "search 1"),
        ("/dashboard/studies/0/trials", "Trial 0"),
        ("/dashboard/studies/0/note", "search 1"),
    ],
)
def test_nothing_is_offered_that_would_be_refused(browser, plots, page, shown):
    """To create, rename, delete, annotate."""
    browser.get(plots.url + page)
    wait(browser, lambda: shown in text(browser, "body"))
    icons = "[data-testid=EditIcon], [data-testid=AddBoxIcon], "
    icons += "[data-testid=DeleteIcon], [data-testid=DriveFileRenameOutlineIcon]"
    found = browser.find_elements("css selector", icons)
    assert page != "/dashboard" or len(found) == 3
    assert [icon for icon in found if icon.is_displayed()] == []


def test_one_page_leads_to_the_other_and_back(browser, plots):
    """By a link that says where to."""
    browser.get(plots.url)
    link = browser.find_element("css selector", "#to-plots")
    wait(browser, link.is_displayed)
    link.click()
    wait(browser, lambda: "Hyperparameter Importance" in text(browser, "body"))
    browser.find_element("css selector", "#to-search").click()
    wait(browser, lambda: n_done(browser) == 11)


def test_a_candidate_that_is_run_again_is_seen_in_an_open_page(browser, plots, path):
    """Though Optuna's dashboard asks only for trials that it has not seen finished."""
    browser.get(f"{plots.url}/dashboard/studies/0/trials")
    wait(browser, lambda: "Fail" in text(browser, "body"))
    write_search(path, [{"a": i} for i in range(4)], {(3, 0): 0.3})
    wait(
        browser,
        lambda: (
            "Trial 3" in text(browser, "body") and "Fail" not in text(browser, "body")
        ),
    )


def test_another_site_cannot_read_the_state(browser, plots, tmp_path):
    """A page from elsewhere that the user has open."""
    import functools
    import http.server
    import threading

    (tmp_path / "evil.html").write_text(
        f"<script src={json.dumps(plots.url + '/state.json')}></script>"
        "<script>fetch(" + json.dumps(plots.url + "/state.json") + ")"
        ".then(() => document.title = 'read')"
        ".catch(() => document.title = 'refused')</script>"
    )

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.05,))
        thread.start()
        browser.get(f"http://127.0.0.1:{other.server_port}/evil.html")
        wait(browser, lambda: browser.title in ("read", "refused"))
        other.shutdown()
        thread.join()
    assert browser.title == "refused"
