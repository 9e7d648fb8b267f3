"""Keras on TensorFlow: Flatten, Dense 128 with ReLU, Dropout 0.2, Dense 10; Adam, 3 epochs, batch 32."""
import os

import machine_energy as me
import me_example

options = me_example.start("keras", __doc__, {"keras": "Keras", "tensorflow": "TensorFlow"})

with me.region("import"):
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else ~/.keras says
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no notes on the processor and on GPUs that are not there
    import keras

with me.region("load"):
    (x_train, y_train), (x_test, y_test) = me_example.load(options)

with me.region("build"):
    keras.utils.set_random_seed(options.seed)
    model = keras.Sequential([
        keras.layers.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10),
    ])
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])

# TensorFlow traces and compiles the step when the first batch comes: that is part of the training for whoever
# waits for it. It uses all cores of its affinity by itself, and the first GPU if there is one.
with me.region("train"):
    model.fit(x_train, y_train, batch_size=options.batch, epochs=options.epochs, verbose=2)

with me.region("test"):
    loss, accuracy = model.evaluate(x_test, y_test, verbose=2)

me_example.report(len(x_train) * options.epochs, accuracy, loss)
