"""Icons, drawn here: lines on a grid of 20 by 20, in the colour of the text around them."""

from __future__ import annotations

from markupsafe import Markup

_DRAWN = {
    "overview": '<path d="M3 13.5a7 7 0 1 1 14 0"/><path d="m10 13.5 3.2-4.3"/><path d="M2.5 16.5h15"/>',
    "chat": '<path d="M3 4.5h14v9.5H9l-3.5 3V14H3z"/><path d="M6.5 8h7M6.5 10.8h4.5"/>',
    "channel": '<circle cx="10" cy="10" r="2"/><path d="M6.2 13.8a5.4 5.4 0 0 1 0-7.6M13.8 6.2a5.4 5.4 0 0 1 0 7.6"/>'
    '<path d="M3.6 16.4a9 9 0 0 1 0-12.8M16.4 3.6a9 9 0 0 1 0 12.8"/>',
    "agent": '<rect x="3.5" y="7" width="13" height="9.5" rx="2.5"/><path d="M10 7V3.5M7.5 11.2v1.3M12.5 11.2v1.3"/>'
    '<circle cx="10" cy="3" r=".8"/>',
    "model": '<rect x="5" y="5" width="10" height="10" rx="2"/><path d="M8 2.5V5m4-2.5V5M8 15v2.5m4-2.5v2.5"/>'
    '<path d="M2.5 8H5m-2.5 4H5m10-4h2.5M15 12h2.5"/>',
    "key": '<circle cx="6.5" cy="10" r="3.5"/><path d="M10 10h7.5v3M14.5 10v2.2"/>',
    "group": '<circle cx="7.2" cy="7" r="2.7"/><path d="M2 16.5c.3-3 2.4-4.6 5.2-4.6s4.9 1.6 5.2 4.6"/>'
    '<path d="M12.8 4.6a2.6 2.6 0 0 1 0 4.9M14.6 12.2c2 .5 3.2 2 3.4 4.3"/>',
    "session": '<path d="M2.5 4h10v7H7l-2.5 2.2V11h-2z"/><path d="M15 7.5h2.5v7h-2v2.2L13 14.5H8.5v-1"/>',
    "delivery": '<path d="m2.5 9.5 15-6.5-4.5 14.5-3.2-5.6z"/><path d="m9.8 11.9 7.7-8.9"/>',
    "trace": '<path d="M3 5h6M6 10h8M10 15h7"/><circle cx="11.5" cy="5" r="1.3"/><circle cx="16.5" cy="10" r="1.3"/>'
    '<circle cx="7.5" cy="15" r="1.3"/>',
    "log": '<path d="M4.5 2.5h8l3 3v12h-11z"/><path d="M12.3 2.7v3h3M7 9h6M7 11.7h6M7 14.4h3.5"/>',
    "settings": '<path d="M3 5.5h8M15 5.5h2M3 14.5h2M9 14.5h8M3 10h1.5M8.5 10H17"/><circle cx="13" cy="5.5" r="1.8"/>'
    '<circle cx="7" cy="14.5" r="1.8"/><circle cx="6.5" cy="10" r="1.8"/>',
    "menu": '<path d="M3 5.5h14M3 10h14M3 14.5h14"/>',
    "close": '<path d="m5 5 10 10M15 5 5 15"/>',
    "sun": '<circle cx="10" cy="10" r="3.4"/><path d="M10 2v2m0 12v2M2 10h2m12 0h2M4.3 4.3l1.4 1.4m8.6 8.6 1.4 1.4"/>'
    '<path d="m15.7 4.3-1.4 1.4m-8.6 8.6-1.4 1.4"/>',
    "moon": '<path d="M16.5 11.8A7 7 0 0 1 8.2 3.5a7 7 0 1 0 8.3 8.3z"/>',
    "auto": '<circle cx="10" cy="10" r="6.8"/><path d="M10 3.2a6.8 6.8 0 0 1 0 13.6z" fill="currentColor"/>',
    "out": '<path d="M8 3.5H4v13h4M12.5 6.5 16 10l-3.5 3.5M16 10H8"/>',
    "copy": '<rect x="7" y="7" width="9.5" height="9.5" rx="1.5"/><path d="M13 4.5v-1H3.5V13h1"/>',
    "check": '<path d="m4 10.5 4 4 8-9"/>',
    "alert": '<path d="M10 3 2.5 16.5h15z"/><path d="M10 8v4M10 14.2v.3"/>',
    "info": '<circle cx="10" cy="10" r="7"/><path d="M10 9v4.5M10 6.3v.3"/>',
    "next": '<path d="m7.5 4.5 5.5 5.5-5.5 5.5"/>',
    "previous": '<path d="M12.5 4.5 7 10l5.5 5.5"/>',
    "search": '<circle cx="9" cy="9" r="5.3"/><path d="m13 13 4.2 4.2"/>',
    "plus": '<path d="M10 4v12M4 10h12"/>',
    "file": '<path d="M5 2.5h6.5l4 4v11H5z"/><path d="M11.3 2.7v4h4"/>',
    "pause": '<path d="M7 4.5v11M13 4.5v11"/>',
    "play": '<path d="M6.5 4v12l9.5-6z"/>',
    "stop": '<rect x="5" y="5" width="10" height="10" rx="1.5"/>',
    "retry": '<path d="M16 10a6 6 0 1 1-1.8-4.3"/><path d="M16.3 3v3.6h-3.6"/>',
    "inbox": '<path d="M3 11.5 5.2 4h9.6l2.2 7.5V16H3z"/><path d="M3 11.5h4c.3 1.6 1.4 2.4 3 2.4s2.7-.8 3-2.4h4"/>',
    "history": '<path d="M4 10a6.2 6.2 0 1 0 1.9-4.5"/><path d="M3.6 3v3.6h3.6M10 6.5V10l2.6 1.6"/>',
    "clip": '<path d="m16 9.5-5.6 5.6a3.7 3.7 0 0 1-5.2-5.2l6-6a2.4 2.4 0 0 1 3.4 3.4"/>'
    '<path d="m14.6 7.3-5.8 5.8a1.1 1.1 0 0 1-1.6-1.6L12 6.7"/>',
    "download": '<path d="M10 3v9m-3.6-3.4L10 12.2l3.6-3.6M3.5 16.5h13"/>',
}


def icon(name: str) -> Markup:
    """An icon that only decorates: what it stands for is said in words beside it."""
    return Markup(  # noqa: S704 - from above
        f'<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">{_DRAWN[name]}</svg>'
    )
