"""What tests/bench/run is made of, in the order in which it happens:

    workspace   a directory for all that is written, and one for sockets
    lodge       a private lodged with its map
    peers       private installations of other programs
    programs    what can be measured, by name
    rows        what is compared with what
    rounds      shuffled rounds of measurements, each a line of JSON
    scaling     the cost of a delivery while something grows
    results     medians and ratios of those lines
    aims        the figures to reach
    report      tables in Markdown
    chart       pictures in SVG
"""
