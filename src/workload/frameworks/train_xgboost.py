"""XGBoost: boosted trees on the histograms of the pixels, 10 rounds of 10 trees, one for each class.

Its work is counted in images passed through a round: images x rounds. That is comparable with itself on other
machines; a round is not an epoch of a network. Nothing is drawn at random, so --seed changes nothing.
"""
import machine_energy as me
import me_example

options = me_example.start("xgboost", __doc__, {"xgboost": "XGBoost"}, ("samples", "rounds", "seed"))

with me.region("import"):
    import numpy as np
    import xgboost as xgb

with me.region("load"):
    (x_train, y_train), (x_test, y_test) = me_example.load(options)

with me.region("build"):
    train = xgb.DMatrix(x_train.reshape(len(x_train), -1), y_train)
    parameters = {"objective": "multi:softprob", "num_class": 10, "tree_method": "hist", "seed": options.seed}

# The pixels are sorted into the histograms' bins first, as part of the training. It uses all cores of the affinity
# by itself; a GPU only if told so.
with me.region("train"):
    model = xgb.train(parameters, train, num_boost_round=options.rounds)

with me.region("test"):
    probabilities = model.predict(xgb.DMatrix(x_test.reshape(len(x_test), -1)))
    accuracy = (probabilities.argmax(1) == y_test).mean()
    loss = -np.log(probabilities[range(len(y_test)), y_test]).mean()

me_example.report(len(x_train) * options.rounds, accuracy, loss)
