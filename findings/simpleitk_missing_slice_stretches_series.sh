#!/usr/bin/env bash
# Behaviour: a DICOM series that lacks one slice is read without an error: the spacing becomes the
# mean gap, and every slice but the first and last moves. A line on standard error is the only
# sign.
# Versions: SimpleITK 2.5.7, pydicom 3.0.2.
# Why it hurts: contours and masks placed by position miss the image by up to a slice, volumes are
# computed with a spacing that no slice has.
# Instead: compare the gaps of ImagePositionPatient along the slice normal before reading, and
# refuse or fill.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cd "$work"
mkdir series
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("SimpleITK", "pydicom")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print(
    "guess: an error, or a gap filled at the slice's place, spacing 2.0 as every neighbour "
    "has"
)
series = generate_uid()
for number in (0, 1, 2, 4, 5):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID = ds.StudyInstanceUID = series
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "CT", "MONOCHROME2", 1
    ds.Rows = ds.Columns = 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelSpacing, ds.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient, ds.InstanceNumber = [0, 0, 2.0 * number], number + 1
    ds.PixelData = np.full((4, 4), number, np.uint16).tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(f"series/{number}.dcm", enforce_file_format=True)
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames("series"))
volume = reader.Execute()
expect("slices", [0, 1, 2, 4, 5], sitk.GetArrayFromImage(volume)[:, 0, 0].tolist())
expect("spacing along z (2.0 in every file)", 2.5, volume.GetSpacing()[2])
place = volume.TransformIndexToPhysicalPoint((0, 0, 3))[2]
expect("z of the slice taken at 8.0", 7.5, place)
PY
