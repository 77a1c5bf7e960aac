"""Makes models of every layer type with real Keras (2 or 3), and checks files that fleetcast has exported.

    keras_models.py version
    keras_models.py make FOLDER           NAME.keras, NAME.h5 and NAME.json with a sample input and its prediction
    keras_models.py check FOLDER          loads every NAME.keras in the folder and compares with NAME.json
    keras_models.py window FOLDER         window.keras and window.h5, which forecast windows, and window.npz with a sample
    keras_models.py compare NPZ FILE...   largest difference between the sample and what each model predicts
    keras_models.py fit FOLDER            trains every NAME.keras as NAME.json says, prints history and predictions
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras  # noqa: E402
import numpy as np  # noqa: E402

L = keras.layers


def sequential(*layers):
    return keras.Sequential(list(layers))


def functional(shape, *layers, dtype="float32"):
    start = keras.Input(shape, dtype=dtype)
    x = start
    for layer in layers:
        x = layer(x)
    return keras.Model(start, x)


def models(rng):
    """Name, model, input."""
    x = rng.standard_normal((5, 12, 3)).astype("f4")
    codes = rng.integers(0, 20, (5, 9)).astype("i4")
    flat = rng.standard_normal((5, 6)).astype("f4")
    yield "lstm", sequential(keras.Input((12, 3)), L.LSTM(7), L.Dense(4)), x
    yield "lstm-stack", sequential(
        keras.Input((12, 3)), L.LSTM(6, return_sequences=True), L.Dropout(0.3), L.LSTM(5), L.Dense(2)
    ), x
    yield "lstm-options", sequential(
        keras.Input((12, 3)),
        L.LSTM(6, activation="relu", recurrent_activation="tanh", use_bias=False, return_sequences=True),
        L.LSTM(5, go_backwards=True),
        L.Dense(3, use_bias=False, activation="softmax"),
    ), x
    yield "gru", sequential(keras.Input((12, 3)), L.GRU(7, return_sequences=True), L.GRU(5), L.Dense(2)), x
    yield "gru-before", sequential(keras.Input((12, 3)), L.GRU(7, reset_after=False), L.Dense(2)), x
    yield "gru-bare", sequential(keras.Input((12, 3)), L.GRU(7, use_bias=False), L.Dense(2)), x
    yield "simple-rnn", sequential(
        keras.Input((12, 3)), L.SimpleRNN(7, return_sequences=True), L.SimpleRNN(4, activation="relu"), L.Dense(2)
    ), x
    yield "bidirectional", sequential(
        keras.Input((12, 3)),
        L.Bidirectional(L.LSTM(5, return_sequences=True)),
        L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum"),
        L.Bidirectional(L.SimpleRNN(4, return_sequences=True), merge_mode="ave"),
        L.Bidirectional(L.LSTM(3), merge_mode="mul"),
        L.Dense(2),
    ), x
    guide = sequential(L.Embedding(20, 6), L.LSTM(8), L.Dense(10))
    guide.build((None, None))
    yield "guide", guide, codes
    masked = sequential(
        L.Embedding(20, 6, mask_zero=True), L.LSTM(5, return_sequences=True), L.Bidirectional(L.GRU(4)), L.Dense(3)
    )
    masked.build((None, None))
    holes = codes.copy()
    holes[:, 6:] = 0
    holes[2, :3] = 0
    holes[4, 1] = 0
    yield "masked", masked, holes
    sequences = sequential(
        L.Embedding(20, 6, mask_zero=True),
        L.Bidirectional(L.LSTM(5, return_sequences=True)),
        L.LSTM(4, go_backwards=True, return_sequences=True),
        L.GRU(4),
        L.Dense(3),
    )
    sequences.build((None, None))
    yield "masked-sequences", sequences, holes
    gaps = x.copy()
    gaps[:, 9:] = -1
    gaps[1, 0] = -1
    yield "masking", sequential(keras.Input((12, 3)), L.Masking(-1.0), L.LSTM(5), L.Dense(3)), gaps
    yield "norms", sequential(
        keras.Input((12, 3)),
        L.BatchNormalization(),
        L.LSTM(6, return_sequences=True),
        L.LayerNormalization(epsilon=1e-4),
        L.GRU(5),
        L.LayerNormalization(center=False),
        L.BatchNormalization(scale=False),
        L.Dense(2),
    ), x
    normalization = L.Normalization()
    normalization.adapt(3 + 2 * x)
    yield "normalization", sequential(keras.Input((12, 3)), normalization, L.LSTM(5), L.Dense(2)), 3 + 2 * x
    yield "encoder-decoder", functional(
        (12, 3),
        L.LSTM(6),
        L.RepeatVector(4),
        L.LSTM(5, return_sequences=True),
        L.TimeDistributed(L.Dense(2, activation="tanh")),
        L.Flatten(),
    ), x
    yield "functional", functional((12, 3), L.GRU(6), L.Dense(8, activation="relu"), L.Reshape((4, 2))), x
    yield "dense", sequential(
        keras.Input((6,)),
        L.Dense(8, activation="relu"),
        L.Dense(8, activation="elu"),
        L.Dense(8, activation="selu"),
        L.Dense(8, activation="sigmoid"),
        L.Dense(8, activation="hard_sigmoid"),
        L.Dense(8, activation="swish"),
        L.Activation("tanh"),
        L.ReLU(),
        L.Dense(3),
        L.Softmax(),
    ), flat
    yield "pooling", sequential(
        keras.Input((12, 3)), L.LSTM(6, return_sequences=True), L.GlobalAveragePooling1D(), L.Dense(2)
    ), x
    yield "convolutions", sequential(
        keras.Input((12, 3)),
        L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
        L.Conv1D(5, 4, strides=2, padding="same", use_bias=False),
        L.Conv1D(4, 2),
        L.LSTM(4, return_sequences=True),
        L.Flatten(),
        L.Dense(2),
    ), x
    yield "pools", sequential(
        keras.Input((12, 3)),
        L.Conv1D(4, 3, activation="tanh"),
        L.MaxPooling1D(3, strides=2, padding="same"),
        L.AveragePooling1D(2, strides=1, padding="same"),
        L.AveragePooling1D(2),
        L.MaxPooling1D(2, padding="valid"),
        L.Flatten(),
        L.Dense(2),
    ), x
    # Two of a kind and names of one's own: groups in the file are not called after the layers.
    yield "names", sequential(
        keras.Input((12, 3)), L.Dense(4, name="lstm"), L.LSTM(4, name="dense_1"), L.Dense(3, name="dense"), L.Dense(2)
    ), x


def shake(model, rng):
    """Weights away from their initial values: biases of zero or ones would hide an error of order."""
    fixed = [id(w) for layer in model.layers if isinstance(layer, L.Normalization) for w in layer.weights]
    for w in model.weights:
        if id(w) in fixed:  # adapt() has computed with them already
            continue
        value = w.numpy()
        if not np.issubdtype(value.dtype, np.floating):
            continue
        noise = rng.normal(0, 0.2, value.shape).astype("f4")
        w.assign(np.abs(value + noise) + 0.1 if "variance" in (getattr(w, "path", None) or w.name) else value + noise)


def make(folder):
    rng = np.random.default_rng(7)
    for name, model, x in models(rng):
        shake(model, rng)
        lines = []
        model.summary(print_fn=lambda line, **_: lines.append(line))
        if name in ("lstm", "names"):  # some files with the state of an optimizer
            model.compile(optimizer="adam", loss="mse")
            model.fit(x, np.array(model(x)), epochs=1, verbose=0)
        y = np.array(model(x))
        model.save(f"{folder}/{name}.keras")
        model.save(f"{folder}/{name}.h5")
        with open(f"{folder}/{name}.json", "w") as file:
            json.dump(
                {
                    "keras": keras.__version__,
                    "shape": x.shape,
                    "x": x.ravel().tolist(),
                    "outputShape": y.shape,
                    "y": y.ravel().tolist(),
                    "summary": "\n".join(lines),
                },
                file,
            )


def check(folder):
    results = {}
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".keras"):
            continue
        name = file[: -len(".keras")]
        with open(f"{folder}/{name}.json") as sample:
            expected = json.load(sample)
        model = keras.models.load_model(f"{folder}/{file}")
        x = np.array(expected["x"], expected.get("dtype", "f4")).reshape(expected["shape"])
        y = np.array(model(x))
        if name in ("lstm", "guide"):  # a file that loads must also train
            model.compile(optimizer="adam", loss="mse")
            model.fit(x, y, epochs=1, verbose=0)
        results[name] = {"error": float(np.abs(y.ravel() - np.array(expected["y"], "f4")).max()), "shape": y.shape}
    print(json.dumps({"keras": keras.__version__, "results": results}))


def window(folder):
    rng = np.random.default_rng(5)
    model = sequential(
        keras.Input((48, 1)),
        L.Bidirectional(L.GRU(6, return_sequences=True)),
        L.LayerNormalization(),
        L.LSTM(5),
        L.Dense(12),
    )
    shake(model, rng)
    x = rng.standard_normal((7, 48, 1)).astype("f4")
    np.savez(f"{folder}/window.npz", x=x, y=np.array(model(x)))
    model.save(f"{folder}/window.keras")
    model.save(f"{folder}/window.h5")


def compare(sample, files):
    sample = np.load(sample)
    differences = []
    for file in files:
        model = keras.models.load_model(file)
        x = sample["x"].reshape((-1,) + tuple(model.input_shape[1:]))
        differences.append(float(np.abs(np.array(model(x)) - sample["y"]).max()))
    print(json.dumps(differences))


def fit(folder):
    results = {}
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".keras"):
            continue
        name = file[: -len(".keras")]
        with open(f"{folder}/{name}.json") as settings:
            job = json.load(settings)
        model = keras.models.load_model(f"{folder}/{file}")
        loss = job["loss"]
        if loss.endswith("_from_logits"):
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=job["optimizer"], loss=loss, metrics=job["metrics"])
        x = np.array(job["x"], "f4").reshape(job["shape"])
        y = np.array(job["y"], "f4").reshape(job["labelShape"])
        history = model.fit(
            x,
            y,
            epochs=job["epochs"],
            batch_size=job["batchSize"],
            validation_split=job["validationSplit"],
            shuffle=False,
            verbose=0,
        )
        results[name] = {
            "history": history.history,
            "y": np.array(model(x)).ravel().tolist(),
            "evaluated": model.evaluate(x, y, batch_size=job["batchSize"], verbose=0, return_dict=True),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    command = sys.argv[1]
    if command == "version":
        print(keras.__version__)
    elif command == "make":
        make(sys.argv[2])
    elif command == "check":
        check(sys.argv[2])
    elif command == "window":
        window(sys.argv[2])
    elif command == "compare":
        compare(sys.argv[2], sys.argv[3:])
    elif command == "fit":
        fit(sys.argv[2])
    else:
        sys.exit(f"unknown command {command}")
