"""Masks that are drawn rather than stored: outlines and runs in COCO, YOLO and LabelMe files."""
