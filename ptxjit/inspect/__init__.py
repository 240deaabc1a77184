"""Looking at what became of a program: `stats` numbers per kernel, `columns` and `table` side by side on a terminal, `page` the HTML page.

    stats      per kernel: what the target knows, the mix of its instructions, what it moves and computes
    columns    texts beside each other, or one after another with a header in the text's own comments
    collect    everything that the page shows, as plain data: texts, the source line of each of their lines, passes, profile
    charts     inline SVG: roofline, mix, pressure
    page       that data and `page.html`, `page.css`, `page.js` as one file
"""
