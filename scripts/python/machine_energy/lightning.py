"""Regions of a Lightning training, by a callback, for the packages `lightning` and `pytorch_lightning`:

    from machine_energy.lightning import Regions           # behind the import of lightning
    trainer = Trainer(callbacks=[Regions()])

    train             fit(), without its sanity check    train/epoch    an epoch    train/batch    a batch
    train/validate    what fit() validates with          validate, test, predict    validate(), test(), predict()
    train/validate/batch, validate/batch, test/batch, predict/batch
"""
import importlib
import sys

from machine_energy import _Open

__all__ = ["Regions"]

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def _bases():
    """The callback class of each of the packages that the program has loaded: a trainer wants one of its own."""
    loaded = [sys.modules[name].Callback for name in _PACKAGES if hasattr(sys.modules.get(name), "Callback")]
    if loaded:
        return tuple(dict.fromkeys(loaded))
    try:
        return (importlib.import_module(_PACKAGES[0]).Callback,)
    except ImportError:
        return (importlib.import_module(_PACKAGES[1]).Callback,)


class Regions(*_bases()):
    """epochs, batches: whether each is a region of its own."""

    def __init__(self, epochs=True, batches=False):
        super().__init__()
        self._regions = _Open()
        self._epochs = epochs
        self._batches = batches

    def _validation(self):
        return "train/validate" if "train" in self._regions else "validate"

    def _batch(self, stage):
        if self._batches:
            self._regions.begin(f"{stage}/batch")

    def on_train_start(self, trainer, pl_module):
        self._regions.end_all()
        self._regions.begin("train")

    def on_train_end(self, trainer, pl_module):
        self._regions.end("train")

    def on_train_epoch_start(self, trainer, pl_module):
        if self._epochs:
            self._regions.begin("train/epoch")

    def on_train_epoch_end(self, trainer, pl_module):
        self._regions.end("train/epoch")

    def on_train_batch_start(self, *_):
        self._batch("train")

    def on_train_batch_end(self, *_):
        self._regions.end("train/batch")

    def on_validation_start(self, trainer, pl_module):
        self._regions.begin(self._validation())

    def on_validation_end(self, trainer, pl_module):
        self._regions.end(self._validation())

    def on_validation_batch_start(self, *_):
        self._batch(self._validation())

    def on_validation_batch_end(self, *_):
        self._regions.end(f"{self._validation()}/batch")

    def on_test_start(self, trainer, pl_module):
        self._regions.begin("test")

    def on_test_end(self, trainer, pl_module):
        self._regions.end("test")

    def on_test_batch_start(self, *_):
        self._batch("test")

    def on_test_batch_end(self, *_):
        self._regions.end("test/batch")

    def on_predict_start(self, trainer, pl_module):
        self._regions.begin("predict")

    def on_predict_end(self, trainer, pl_module):
        self._regions.end("predict")

    def on_predict_batch_start(self, *_):
        self._batch("predict")

    def on_predict_batch_end(self, *_):
        self._regions.end("predict/batch")

    def on_exception(self, trainer, pl_module, exception):
        self._regions.end_all()
