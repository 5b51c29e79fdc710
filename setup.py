"""Installs the exporter and the two packages that it stands on."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.*)"', (HERE / "hub_export/version.py").read_text())

REFERENCE = ["torch>=2.4"]
# To download presets; those in a folder are read without it.
KERAS = ["keras-hub; python_version >= '3.11'"]
# To compare vectors of texts with its own.
SENTENCES = ["sentence-transformers>=6"]
# Figures, scripts of Unicode, and the page that they are on.
REPORT = ["fonttools", "jinja2", "matplotlib>=3.9"]
# The site of documentation.
DOCS = ["mkdocs-material>=9.7,<10", "mkdocstrings[python]>=1"]
# The interpreter of LiteRT copies.
LITERT = ["ai-edge-litert>=2.1"]
# Runs their copies for phones, in a test.
MEDIAPIPE = ["mediapipe>=1.2"]
# Its messages: warm-up requests and the configuration of a server.
SERVING = ["tensorflow-serving-api>=2.21,<2.22"]
# Pushes exports to Kaggle; what pushes to the Hugging Face hub is needed anyway.
PUBLISH = ["kagglehub>=1.0.2"]
# Reads and writes Parquet, reads Zstandard.
PARQUET = ["pyarrow>=18"]
# Engines for corpora larger than one machine.
BEAM = [
    "apache-beam[tfrecord]>=2.77",
    # Beam goes with protobuf 6 at most, what sentencepiece 0.2.3 has generated with 7 at least.
    "sentencepiece<0.2.3",
    *PARQUET,
]
RAY = ["ray[data]>=2.50", *PARQUET]
SPARK = ["pandas>=2.2,<3", "pyspark>=4", *PARQUET]
# Searches the vectors, in an example.
SEARCH = ["faiss-cpu>=1.12"]
# Other ways to embed texts, to measure against.
BENCHMARKS = ["onnx", "onnxruntime", "openvino", *REFERENCE, *SENTENCES]
# With pytest 9.2, xdist 3.8 takes no notice of groups: each test runs wherever there is room.
XDIST = ["pytest<9.2", "pytest-xdist"]
PEERS = [*KERAS, *LITERT, *MEDIAPIPE, *PUBLISH, *REFERENCE, *REPORT, *SENTENCES, *SERVING]
ENGINES = [*BEAM, *RAY, *SEARCH, *SPARK]
TEST = ["hypothesis", "peft", *XDIST, *PEERS, *ENGINES]

setup(
    name="hub_export",
    version=VERSION[1] if VERSION else "0",
    description="Exports text encoders as verified TF Hub SavedModels",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["encoders*", "preprocess*", "hub_export*"]),
    package_data={
        **{package: ["py.typed"] for package in ("encoders", "preprocess")},
        "hub_export": ["py.typed", "tried.json"],
        "hub_export.publish.pages": ["templates/*.jinja"],
        "hub_export.report_page": ["page.css", "page.html.jinja"],
    },
    install_requires=[
        "absl-py>=2.1",
        "flatbuffers>=25.9.23",
        "h5py>=3.11",
        "huggingface_hub>=1.31",
        "jinja2>=3.1.6",
        "ml_dtypes>=0.5.1",
        "numpy>=1.26",
        "protobuf>=6.31.1",
        "safetensors>=0.8",
        "sentencepiece>=0.2.1",
        # tensorflow_hub imports pkg_resources, which later versions do not have.
        "setuptools<81",
        "tensorflow>=2.21,<2.22",
        "tensorflow-hub>=0.16.1",
        "tensorflow-text>=2.21,<2.22",
        "tf_keras>=2.21,<2.22",
        # 0.23.2 gives the odd piece to the second text where 0.23.3 gives it to the longer one.
        "tokenizers>=0.23.3",
        "tqdm>=4.66.3",
        "transformers>=5.20.2",
    ],
    extras_require={
        "beam": BEAM,
        "benchmarks": BENCHMARKS,
        "docs": DOCS,
        "keras": KERAS,
        "litert": LITERT,
        "parquet": PARQUET,
        "publish": PUBLISH,
        "ray": RAY,
        "reference": [*REFERENCE, *SENTENCES],
        "report": REPORT,
        "search": SEARCH,
        "serving": SERVING,
        "spark": SPARK,
        "test": TEST,
        "dev": [*TEST, *DOCS, "mypy", "pre-commit", "ruff"],
    },
    entry_points={
        "console_scripts": [
            "hub_embed = hub_export.use.embed_cli:run",
            "hub_export = hub_export.cli:run",
            "hub_export_serving = hub_export.use.serving_cli:run",
            "hub_predict = hub_export.use.predict_cli:run",
        ]
    },
)
