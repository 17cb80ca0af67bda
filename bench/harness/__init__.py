"""What every measure needs: the cluster, an operator of its own, load, a bare client to compare with, and a report."""
