"""The table ``[track]``; without Keras and without a tracker."""

import attrs


@attrs.frozen(kw_only=True)
class MlflowConfig:
    """Where MLflow records a run.

    Args:
        uri: of the store or server, such as ``sqlite:////data/mlflow.db`` or ``http://host:5000``; empty: as
            MLflow decides, by ``MLFLOW_TRACKING_URI`` or ``mlflow.db`` in the working directory.
        experiment: its name; it is created if there is none.
        run: the run's name; empty: the name of the run folder.
        tags: further tags of the run.
    """

    uri: str = ""
    experiment: str = "superloop"
    run: str = ""
    tags: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class TrackioConfig:
    """Where trackio records a run.

    Args:
        folder: of the store; empty: as trackio decides, by ``TRACKIO_DIR`` or in Hugging Face's cache.
        project: its name.
        run: the run's name; empty: the name of the run folder. The first eight digits of the run's id follow
            it, as trackio finds runs by their names.
        group: of the run; empty: none.
    """

    folder: str = ""
    project: str = "superloop"
    run: str = ""
    group: str = ""


@attrs.frozen(kw_only=True)
class WandbConfig:
    """What W&B writes into the run folder, offline, for ``wandb sync``.

    Args:
        project: its name.
        entity: the user or team; empty: that of the login.
        run: the run's name; empty: the name of the run folder.
        tags: of the run.
        group: of the run; empty: none.
    """

    project: str = "superloop"
    entity: str = ""
    run: str = ""
    tags: tuple[str, ...] = ()
    group: str = ""


@attrs.frozen(kw_only=True)
class TrackConfig:
    """The trackers that record a run.

    Args:
        mlflow: whether MLflow does, or its settings.
        trackio: whether trackio does, or its settings.
        wandb: whether W&B does, or its settings.
    """

    mlflow: bool | MlflowConfig = False
    trackio: bool | TrackioConfig = False
    wandb: bool | WandbConfig = False
