"""Gradients written by hand where torch's leave channels-last memory or bf16 for slow paths on a CPU.

Each function computes forwards what torch computes, to the bit, and backwards the same gradient.
"""
