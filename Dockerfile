# photosieve on an ordinary processor: see docs/deployment.md. `docker build -t photosieve .`
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/photosieve
# The libraries, two gigabytes, are a layer of their own: a change of the code installs none again.
# Of the pinned torch, the extra index has the build without CUDA, which pip prefers.
COPY constraints.txt pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && /opt/photosieve/bin/pip install -r requirements.txt -c constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu
COPY README.md LICENSE ./
COPY samples samples
COPY src src
RUN /opt/photosieve/bin/pip install --no-deps .

FROM python:3.11-slim-bookworm
# Volumes that are new start with the owner of these folders.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin photosieve \
    && install --directory --owner photosieve --group photosieve /state /cache
COPY --from=build /opt/photosieve /opt/photosieve
ENV PATH=/opt/photosieve/bin:$PATH PYTHONUNBUFFERED=1 \
    HOME=/cache PHOTOSIEVE_CACHE=/cache/photosieve HF_HOME=/cache/huggingface
USER 10001:10001
WORKDIR /state
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8765/health', timeout=9)"]
ENTRYPOINT ["photosieve"]
CMD ["serve", "/photos", "--sieve", "sieve", "--index", "index", "--host", "0.0.0.0"]
