"""Volumes of scanners, NIfTI and DICOM: which way their axes run, and how their values are coded."""
