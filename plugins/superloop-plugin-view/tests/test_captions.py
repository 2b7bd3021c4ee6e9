RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"
SLOTS = 3


def titles(panels):
    return [panel.get_title(loc="left") for panel in panels]


def test_the_target_is_framed_and_its_label_bold(drawn, pointing, attention):
    for row, panel in enumerate(drawn(pointing(), attention(4))):
        (frame,) = panel.patches
        assert frame.get_y() == row % SLOTS - 0.5
        bold = [label.get_text() for label in panel.get_yticklabels() if label.get_fontweight() == "bold"]
        assert bold == [f"{row}{row % SLOTS}"]


def test_a_system_that_the_task_does_not_annotate_has_its_slots_numbered(drawn, pointing, attention):
    (panel,) = drawn(pointing(system="other"), attention(1))
    assert titles([panel]) == [f"row 0 {RIGHT}\ntape weights"]
    assert not panel.patches
