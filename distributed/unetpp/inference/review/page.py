"""One HTML page of the least certain images, which works from the file."""

import base64
from collections.abc import Sequence
from html import escape

from unetpp.inference.review.rank import Doubted

__all__ = ["review_page"]

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; }
.pair { position: relative; overflow: hidden; border-radius: 4px; }
.pair img { display: block; width: 100%; image-rendering: pixelated; }
.pair img + img { position: absolute; inset: 0; height: 100%; clip-path: inset(0 0 0 var(--cut, 50%)); }
figure[data-show=mask] .doubt, figure[data-show=doubt] .mask { display: none; }
.pair::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--cut, 50%); width: 2px;
  background: #fff; mix-blend-mode: difference; }
input[type=range] { width: 100%; margin: .4rem 0 0; }
figcaption { overflow-wrap: anywhere; }
"""
_SCRIPT = """
for (const figure of document.querySelectorAll("figure")) {
  figure.querySelector("input[type=range]").addEventListener("input", event => {
    figure.style.setProperty("--cut", event.target.value + "%");
  });
  figure.querySelector("select").addEventListener("change", event => {
    figure.dataset.show = event.target.value;
  });
}
"""


def review_page(entries: Sequence[Doubted], total: int) -> str:
    """HTML with all pictures inside.

    Args:
        entries: the least certain first.
        total: images that they were chosen from.
    """
    figures = "".join(_figure(number, entry) for number, entry in enumerate(entries, 1))
    measure = "how far its levels agree" if entries and entries[0].measure == "levels" else "its confidence"
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{len(entries)} images to look at</title><style>{_STYLE}</style>"
        f"<h1>{len(entries)} images to look at</h1>"
        f"<p>Those of {total} that the network is least certain of, by {measure}; the least certain first. "
        "Left of the line is the image, right of it the mask, or in red where the network doubts.</p>"
        f"<main>{figures}</main><script>{_SCRIPT}</script></html>"
    )


def _figure(number: int, entry: Doubted) -> str:
    name = escape(entry.name, quote=True)
    pairs = (
        "<div class='pair {kind}'><img alt='{name}' src='{one}'>"
        "<img alt='{kind} of {name}' src='{other}'></div>"
    )
    assert entry.pictures is not None
    one, masked, doubt = map(_uri, entry.pictures)
    shown = "".join(
        pairs.format(kind=kind, name=name, one=one, other=other)
        for kind, other in (("mask", masked), ("doubt", doubt))
    )
    return (
        f"<figure data-show='mask'>{shown}"
        f"<input type='range' min='0' max='100' value='50' aria-label='image or overlay of {name}'>"
        f"<figcaption>{number}. {name}, certainty {entry.certainty:.3f} "
        f"<select aria-label='what is shown over {name}'><option value='mask'>mask</option>"
        "<option value='doubt'>doubt</option></select></figcaption></figure>"
    )


def _uri(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()
