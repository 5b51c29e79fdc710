"""Installs the exporter and the two packages that it stands on."""

from pathlib import Path

from setuptools import find_packages, setup

REFERENCE = ["torch"]
# To download presets; those in a folder are read without it.
KERAS = ["keras-hub; python_version >= '3.11'"]
# To compare vectors of texts with its own.
SENTENCES = ["sentence-transformers>=6"]
# Its messages: warm-up requests and the configuration of a server.
SERVING = ["tensorflow-serving-api>=2.21,<2.22"]
# Other ways to embed texts, to measure against.
BENCHMARKS = ["onnx", "onnxruntime", "openvino", *REFERENCE, *SENTENCES]
TEST = ["peft", "pytest", "pytest-xdist", *KERAS, *REFERENCE, *SENTENCES, *SERVING]

setup(
    name="hub_export",
    version="0.1.0",
    description="Exports text encoders as verified TF Hub SavedModels",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["encoders*", "preprocess*", "hub_export*"]),
    install_requires=[
        "absl-py",
        "flatbuffers",
        "h5py",
        "huggingface_hub",
        "ml_dtypes",
        "numpy",
        "protobuf",
        "safetensors",
        "sentencepiece",
        # tensorflow_hub imports pkg_resources, which later versions do not have.
        "setuptools<81",
        "tensorflow>=2.21,<2.22",
        "tensorflow-hub>=0.16.1",
        "tensorflow-text>=2.21,<2.22",
        "tf_keras>=2.21,<2.22",
        "tokenizers",
        "tqdm",
        "transformers>=5",
    ],
    extras_require={
        "benchmarks": BENCHMARKS,
        "keras": KERAS,
        "reference": [*REFERENCE, *SENTENCES],
        "serving": SERVING,
        "test": TEST,
        "dev": [*TEST, "mypy", "ruff"],
    },
    entry_points={
        "console_scripts": [
            "hub_embed = hub_export.use.embed_cli:run",
            "hub_export = hub_export.cli:run",
            "hub_export_serving = hub_export.use.serving_cli:run",
        ]
    },
)
