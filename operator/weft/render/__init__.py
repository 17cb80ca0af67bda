"""From a node to its Job, from a Job to its Pod, and from a Pod to what happened: pure, plain JSON in and out."""
