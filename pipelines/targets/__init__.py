"""What a target decides of a pipeline: image, resources, accelerators, platform settings and jobs."""
