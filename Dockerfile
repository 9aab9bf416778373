# The image of every task (`runtime`), the same with CUDA (`gpu`), and the image of the model server (`serving`).
# `make image` builds the first, holds its size against the budget below and writes its SBOM;
# `python3 image.py --target gpu` (or serving) does so for the others.
#
# Behind a proxy that inspects TLS, the host's certificates are given for single steps and never get into the image, and
# so is the package index where it is not PyPI:
# docker build --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --secret id=index,src=exports.sh …
#
# budget of runtime: 2200 MB
# budget of serving: 1200 MB
# budget of gpu: 7600 MB

# Debian 13: its Python 3.13 and glibc 2.41 are what the runtime's wheels need. Give a digest where builds have to be the
# same every time: docker build --build-arg BASE=debian:trixie-slim@sha256:…
ARG BASE=debian:trixie-slim
FROM ${BASE} AS base
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf /var/log/* /usr/share/doc /usr/share/man

# What installs, and compiles the few packages that have no wheels: nothing of it gets into the image.
FROM base AS tools
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3-dev python3-pip python3-venv
# Runs a command with the certificates and the package index that the build is given.
RUN printf '%s\n' '#!/bin/sh' \
      'if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt SSL_CERT_FILE=/run/ca.crt; fi' \
      'if [ -s /run/index.sh ]; then . /run/index.sh; fi' \
      'exec "$@"' > /usr/local/bin/online \
 && chmod +x /usr/local/bin/online
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    online python3 -m pip install --quiet --break-system-packages --no-cache-dir --root-user-action=ignore uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1

# What the model server imports (serving.override.txt: no Keras). TensorFlow's C++ headers are 430 MB, and a quarter of
# its libraries are the names of functions that nothing outside them calls; a stack trace of C++ still has the names of
# the others. Tests of packages go, and what debuggers read. The locks are complete: --no-deps, because other packages
# ask for TensorFlow by its usual name.
FROM tools AS serving-dependencies
COPY requirements.serving.lock /build/
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    python3 -m venv --without-pip /opt/penstock \
 && online uv pip install --quiet --python /opt/penstock/bin/python --require-hashes --no-deps \
      --requirement /build/requirements.serving.lock \
 && cd /opt/penstock/lib/python3.13/site-packages \
 && rm -rf tensorflow/include tensorflow/compiler/mlir/stablehlo \
 && find numpy -type d -name tests -prune -exec rm -rf {} + \
 && find tensorflow uvloop -name '*.so*' -type f -exec strip --strip-unneeded {} +

# botocore describes every service of AWS; to read a model only these are asked. Of Arrow, rows are cleaned by its arrays.
FROM serving-dependencies AS serving-packages
RUN cd /opt/penstock/lib/python3.13/site-packages/botocore/data \
 && find . -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' -exec rm -rf {} + \
 && cd ../../pyarrow \
 && rm -rf include src tests *flight* _pyarrow_cpp_tests*

# What the tasks import beside it. TensorFlow is put apart: all else is the same for tasks with CUDA. TensorFlow asks for
# libclang and never imports it.
FROM serving-dependencies AS dependencies
COPY requirements.runtime.lock /build/
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    online uv pip install --quiet --python /opt/penstock/bin/python --require-hashes --no-deps \
      --requirement /build/requirements.runtime.lock \
 && cd /opt/penstock/lib/python3.13/site-packages \
 && rm -rf clang libclang-* pyarrow/include \
 && find google/genai pandas pyarrow scipy sklearn -type d -name tests -prune -exec rm -rf {} + \
 && find apache_beam zstandard -name '*.so' -exec strip --strip-debug {} + \
 && mkdir /opt/tensorflow && mv tensorflow tensorflow_cpu-*.dist-info /opt/tensorflow/

# TensorFlow with CUDA, and CUDA's libraries from NVIDIA's wheels, which it finds beside itself.
FROM dependencies AS cuda
COPY requirements.gpu.lock /build/
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    online uv pip install --quiet --python /opt/penstock/bin/python --require-hashes --no-deps \
      --requirement /build/requirements.gpu.lock \
 && cd /opt/penstock/lib/python3.13/site-packages \
 && rm -rf tensorflow/include tensorflow/compiler/mlir/stablehlo \
 && find tensorflow -name '*.so*' -type f -exec strip --strip-unneeded {} + \
 && mkdir /opt/cuda && mv nvidia* tensorflow tensorflow-*.dist-info /opt/cuda/

FROM tools AS penstock
COPY pyproject.toml README.md LICENSE /build/
COPY core /build/core
COPY trainer /build/trainer
COPY components /build/components
COPY pipelines /build/pipelines
COPY package /build/package
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    online uv pip install --quiet --system --no-deps --target /opt/penstock-package /build \
 && rm -rf /opt/penstock-package/bin

# What all images have. Kubeflow Pipelines starts pods with runAsNonRoot, which takes no user's name. Nothing is written
# but to /tmp.
FROM base AS shared
LABEL org.opencontainers.image.title="Penstock" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/penstock/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/penstock-package \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONHASHSEED=0 \
    HOME=/tmp TF_CPP_MIN_LOG_LEVEL=2
USER 65532:65532
WORKDIR /tmp

# A machine that has the images of tasks with and without CUDA has this large layer once.
FROM shared AS tasks
LABEL org.opencontainers.image.description="The tasks of Penstock's pipelines"
COPY --from=dependencies /opt/penstock /opt/penstock
HEALTHCHECK --interval=5m --timeout=30s CMD ["python3", "-c", "import penstock.components"]

FROM tasks AS gpu
COPY --from=cuda /opt/cuda /opt/penstock/lib/python3.13/site-packages
# NVIDIA's container runtime gives the driver's libraries to an image that asks for them so.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=penstock /opt/penstock-package /opt/penstock-package
ARG VERSION
LABEL org.opencontainers.image.version=$VERSION

# A new version is a small layer upon the same large ones.
FROM tasks AS runtime
COPY --from=dependencies /opt/tensorflow /opt/penstock/lib/python3.13/site-packages
COPY --from=penstock /opt/penstock-package /opt/penstock-package
ARG VERSION
LABEL org.opencontainers.image.version=$VERSION

FROM shared AS serving
LABEL org.opencontainers.image.description="Penstock's model server" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --from=serving-packages /opt/penstock /opt/penstock
# Vertex AI, SageMaker and KServe start it as it is: pipelines/cli/serve.py reads which of them does.
ENV PENSTOCK_PORT=8080
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "penstock.pipelines.cli.main", "serve"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["python3", "-c", "\
import os, urllib.request; \
names = 'AIP_HTTP_PORT', 'SAGEMAKER_BIND_TO_PORT', 'PORT', 'PENSTOCK_PORT'; \
port = next(filter(None, map(os.environ.get, names))); \
urllib.request.urlopen(f'http://127.0.0.1:{port}/v2/health/ready')"]
COPY --from=penstock /opt/penstock-package /opt/penstock-package
ARG VERSION
LABEL org.opencontainers.image.version=$VERSION

# The software bills of materials, by docker build --target sbom-runtime (or sbom-gpu, sbom-serving) --output DIR.
FROM tools AS inspection
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=index,target=/run/index.sh \
    online python3 -m pip install --quiet --break-system-packages --no-cache-dir --root-user-action=ignore cyclonedx-bom==7.5.0
FROM inspection AS inspection-runtime
RUN --mount=type=bind,from=runtime,source=/opt/penstock,target=/opt/penstock \
    cyclonedx-py environment /opt/penstock/bin/python --output-reproducible --output-file /python.cdx.json
FROM inspection AS inspection-gpu
RUN --mount=type=bind,from=gpu,source=/opt/penstock,target=/opt/penstock \
    cyclonedx-py environment /opt/penstock/bin/python --output-reproducible --output-file /python.cdx.json
FROM inspection AS inspection-serving
RUN --mount=type=bind,from=serving,source=/opt/penstock,target=/opt/penstock \
    cyclonedx-py environment /opt/penstock/bin/python --output-reproducible --output-file /python.cdx.json
FROM scratch AS sbom-runtime
COPY --from=inspection-runtime /python.cdx.json /
COPY --from=base /var/lib/dpkg/status /debian-packages
FROM scratch AS sbom-gpu
COPY --from=inspection-gpu /python.cdx.json /
COPY --from=base /var/lib/dpkg/status /debian-packages
FROM scratch AS sbom-serving
COPY --from=inspection-serving /python.cdx.json /
COPY --from=base /var/lib/dpkg/status /debian-packages
