"""Make the picture of dashboard.md: python docs/make_screenshot.py.

Runs ``examples/digits_keras.py`` and photographs the dashboard on the way. Needs
selenium, chromium and chromedriver.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from resumable_search import CheckpointError
from resumable_search._dashboard.server import make_server

DOCS = Path(__file__).parent
EXAMPLE = DOCS.parent / "examples" / "digits_keras.py"

with tempfile.TemporaryDirectory(prefix="digits-") as directory:
    os.chdir(directory)
    search = subprocess.Popen([sys.executable, str(EXAMPLE)])
    server = None
    while server is None:
        time.sleep(0.2)
        with contextlib.suppress(CheckpointError):  # it is not there yet
            server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-background-networking",
        "--window-size=1000,800",
        f"--user-data-dir={directory}/chromium",
    ):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options)
    browser.get(f"http://127.0.0.1:{server.server_port}/")
    WebDriverWait(browser, 120).until(
        lambda _: len(browser.find_elements("css selector", "#folds .fold.d")) >= 13
    )
    browser.save_screenshot(str(DOCS / "pictures" / "dashboard.png"))
    browser.quit()
    search.kill()
    search.wait()
    server.shutdown()
