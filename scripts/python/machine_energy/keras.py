"""Regions of a Keras training, by a callback:

    from machine_energy.keras import Regions
    model.fit(x, y, callbacks=[Regions()])                 # also evaluate() and predict()

    train             fit()                         train/epoch       an epoch        train/batch       a batch
    train/validate    what fit() validates with     test, predict     evaluate(), predict()
    test/batch, predict/batch, train/validate/batch

Keras tells a callback of no exception: a region that one leaves ends with the program, or with the next fit().
"""
try:
    import keras
except ImportError:  # the Keras that came with TensorFlow, before 2.16
    from tensorflow import keras

from machine_energy import _Open

__all__ = ["Regions"]


class Regions(keras.callbacks.Callback):
    """epochs, batches: whether each is a region of its own. Batches cost more than their marks: where a callback
    listens to them, Keras waits for the result of each."""

    def __init__(self, epochs=True, batches=False):
        super().__init__()
        self._regions = _Open()
        self._epochs = epochs
        if batches:  # as attributes, since Keras looks whether a callback has them
            for stage in ("train", "test", "predict"):
                setattr(self, f"on_{stage}_batch_begin", self._batch_begin(stage))
                setattr(self, f"on_{stage}_batch_end", self._batch_end(stage))

    def _name(self, stage):
        return "train/validate" if stage == "test" and "train" in self._regions else stage

    def _batch_begin(self, stage):
        return lambda batch, logs=None: self._regions.begin(f"{self._name(stage)}/batch")

    def _batch_end(self, stage):
        return lambda batch, logs=None: self._regions.end(f"{self._name(stage)}/batch")

    def on_train_begin(self, logs=None):
        self._regions.end_all()
        self._regions.begin("train")

    def on_train_end(self, logs=None):
        self._regions.end("train")

    def on_epoch_begin(self, epoch, logs=None):
        if self._epochs:
            self._regions.begin("train/epoch")

    def on_epoch_end(self, epoch, logs=None):
        self._regions.end("train/epoch")

    def on_test_begin(self, logs=None):
        self._regions.begin(self._name("test"))

    def on_test_end(self, logs=None):
        self._regions.end(self._name("test"))

    def on_predict_begin(self, logs=None):
        self._regions.begin("predict")

    def on_predict_end(self, logs=None):
        self._regions.end("predict")
