"""Trainings that are killed."""

from pipeline import stage


class Killed(BaseException):
    """Stands for a kill signal."""


def kill_after(monkeypatch, steps: int) -> None:
    """Let the next training end as a kill would end it, after so many steps."""
    whole = stage.progress

    def killed(items, **told):
        for i, item in enumerate(whole(items, **told)):
            if i == steps:
                raise Killed
            yield item

    monkeypatch.setattr(stage, "progress", killed)
