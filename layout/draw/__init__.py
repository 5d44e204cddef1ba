"""Drawings of trees as SVG and as text for Graphviz, in the colours of the explorer."""
