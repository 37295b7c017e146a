"""Results as pages: one HTML file each that needs no network, no script and no other file.

`evaluation`, `comparison` and `domains` each make a page out of a result; tables are the
terminal's (`tables`), plots are matplotlib's as inline SVG (`svg`), whose colours follow the
reader's light or dark mode. `writing` needs neither matplotlib nor jinja2: it says whether they are
there.
"""
