"""scikit-learn: the network of keras (784-128-10, ReLU, Adam, 3 epochs, batch 32), which has no dropout here."""
import warnings

import machine_energy as me
import me_example

options = me_example.start("sklearn", __doc__, {"sklearn": "scikit-learn"})

with me.region("import"):
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.neural_network import MLPClassifier

with me.region("load"):
    (x_train, y_train), (x_test, y_test) = me_example.load(options)
    x_train, x_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)

with me.region("build"):
    model = MLPClassifier(hidden_layer_sizes=(128,), solver="adam", batch_size=options.batch, max_iter=options.epochs,
                          n_iter_no_change=options.epochs, random_state=options.seed, verbose=True)

# The matrix products run in OpenBLAS, on all cores of the affinity by itself.
with me.region("train"), warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is what is wanted
    model.fit(x_train, y_train)

with me.region("test"):
    probabilities = np.zeros((len(x_test), 10), "float32")
    probabilities[:, model.classes_] = model.predict_proba(x_test)  # a few --samples can lack a class
    accuracy = accuracy_score(y_test, probabilities.argmax(1))
    loss = log_loss(y_test, probabilities, labels=range(10))

me_example.report(len(x_train) * model.n_iter_, accuracy, loss)
