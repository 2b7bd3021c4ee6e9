"""A badge of a report, in SVG."""

from superloop_core.testing.report import Report

NAME, HEIGHT, LETTER, MARGIN = "superloop", 20, 6.2, 8  # pixels; of a letter on average, and beside a text
GREEN, RED, GREY = "#2e7d32", "#c62828", "#555"


def badge(report: Report) -> str:
    """Return a small picture in SVG: ``superloop | conformant``, or the number of failures."""
    failures = len(report.failed)
    says = f"{failures} failure{'s' * (failures > 1)}" if failures else "conformant"
    left, right = (round(LETTER * len(text) + 2 * MARGIN) for text in (NAME, says))
    width, style = left + right, 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" role="img">
<title>{NAME}: {says}</title>
<clipPath id="round"><rect width="{width}" height="{HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="{HEIGHT}" fill="{GREY}"/>
<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{RED if failures else GREEN}"/>
</g>
<g {style} text-anchor="middle">
<text x="{left / 2}" y="14" textLength="{left - 2 * MARGIN}">{NAME}</text>
<text x="{left + right / 2}" y="14" textLength="{right - 2 * MARGIN}">{says}</text>
</g>
</svg>
"""
