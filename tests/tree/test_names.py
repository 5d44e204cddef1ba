"""Operations have the kernel's names, or tell which of its functions they are."""

import inspect
import re

import pytest

from layout.tree.kernel import Kernel

NO_OPERATION = {"livelock", "printk", "reserved_nodes"}
"""What stops a loop that the kernel would not leave, what is not of the tree, what is for tools."""


def listed():
    return {
        name: function
        for name, function in vars(Kernel).items()
        if inspect.isfunction(function) and function.__module__ != Kernel.__module__
    }


@pytest.mark.kernel
def test_every_operation_names_its_kernel_function(kernel_6_12):
    text = kernel_6_12.code.read_text() + kernel_6_12.header.read_text()
    kernels = set(re.findall(r"\b(\w+)\s*\(", text))
    unnamed = {
        name
        for name, function in listed().items()
        if name not in kernels | NO_OPERATION and not name.startswith("seam_")
        if not kernels & set(re.findall(r"\b(\w+)\(", inspect.getdoc(function) or ""))
    }
    assert unnamed == set()


def test_seams_are_told_from_operations():
    seams = [name for name in listed() if name.startswith("seam_")]
    assert seams
    assert all(inspect.getdoc(listed()[name]) for name in seams)
