"""Small data sets in the exact form in which their publishers keep them, written into an empty folder."""

import csv
import gzip
import io
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco

RNG = np.random.default_rng(11)


def image(path, size=(40, 56), bits=8):
    """A file of random pixels, `size` rows by columns; DICOM where its name says so, with low values "
    "bright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = RNG.integers(0, 200, size)
    if path.suffix in (".dcm", ".dicom"):
        dicom(path, values.astype(np.uint16))
    elif bits == 16:
        Image.fromarray((values * 20).astype(np.uint16)).save(path)
    else:
        Image.fromarray(values.astype(np.uint8)).save(path)


def dicom(path, values):
    import pydicom

    dataset = pydicom.Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.BurnedInAnnotation = "NO"
    dataset.PatientName = "Secret^Name"
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.preamble = bytes(128)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)


def table(path, header, rows):
    """A CSV file; packed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def as_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def coco_code(mask):
    """COCO's compressed code, by COCO's own library."""
    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": code["size"], "counts": code["counts"].decode()}


def mimic_path(patient, study, dicom):
    return f"files/p{patient[:2]}/p{patient}/s{study}/{dicom}.jpg"


MIMIC = (("10000032", "50414267", "d1"), ("10000032", "50414267", "d2"), ("19985545", "52341872", "d3"))
MS_CXR_ROWS = (
    # dicom, category, phrase, x, y, w, h, split
    (0, "Pneumonia", "Left basilar opacity", 5, 7, 11, 13, "train"),
    (0, "Pneumonia", "left basilar opacity", 30, 7, 9, 3, "train"),
    (0, "Edema", "mild edema", 0, 0, 56, 40, "train"),
    (1, "Lung Opacity", "right opacity", 55, 39, 1, 1, "val"),
    (2, "Pneumothorax", "apical pneumothorax", 3, 4, 5, 6, "test"),
)


def mimic_images(folder, ending=".jpg", home=""):
    for one in MIMIC:
        image(folder / home / mimic_path(*one).replace(".jpg", ending).removeprefix("files/"))


def mimic_tables(folder):
    splits = ("train", "train", "test")
    rows = [(d, s, p, split) for (p, s, d), split in zip(MIMIC, splits, strict=True)]
    table(folder / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,subject_id,split", rows)


def ms_cxr(folder, version="1.1.0"):
    """The CSV file, and the COCO file with two records of one image."""
    header = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"
    rows = []
    for which, category, phrase, *box, split in MS_CXR_ROWS:
        dicom = MIMIC[which][2]
        rows.append([dicom, category, phrase, mimic_path(*MIMIC[which]), *box, 56, 40, split])
    if version == "1.0.0":
        header, rows = header.removesuffix(",split"), [row[:-1] for row in rows]
    table(folder / f"MS_CXR_Local_Alignment_v{version}.csv", header, rows)
    categories = sorted({row[1] for row in rows})
    images, annotations = [], []
    for number, row in enumerate(rows):
        # A record for each annotation: records of one path are several.
        images.append({"id": number, "file_name": f"{row[0]}.jpg", "path": row[3], "width": 56, "height": 40})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": categories.index(row[1]),
                "bbox": row[4:8],
                "label_text": row[2],
                "width": 56,
                "height": 40,
                "split": row[-1],
            }
        )
    content = {
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories)],
        "images": images,
        "annotations": annotations,
    }
    as_json(folder / f"MS_CXR_Local_Alignment_v{version}.json", content)


def llava_rad(folder):
    def entry(which, **more):
        path = "mimic/" + mimic_path(*MIMIC[which]).removeprefix("files/")
        turns = [{"from": "human", "value": "<image>\n..."}, {"from": "gpt", "value": "No effusion."}]
        row = {"id": f"{which}", "image": path, "generate_method": "rule-based", "reason": None, "view": "AP"}
        return row | {"conversations": turns} | more

    missing = [{"from": "human", "value": "..."}, {"from": "gpt", "value": None}]
    rows = [
        entry(0, reason="Cough,\nfever"),
        entry(2, view="PA"),
        entry(1, view="LATERAL"),
        entry(1, generate_method="gpt4"),
        entry(1, conversations=missing),
    ]
    as_json(folder / "chat_test_MIMIC_CXR_all_gpt4extract_rulebased_v1.json", rows)


def slake(folder, mirror=False):
    """The publisher's tree, or that of the mirror that renames each file."""
    home = folder / "imgs" / "xmlab1"
    suffix = "_xmlab1" if mirror else ""
    image(home / f"source{suffix}.jpg")
    classes = np.zeros((40, 56, 3), np.uint8)
    classes[5:15, 8:20] = [7, 70, 70]
    classes[20:30, 30:50] = [9, 90, 90]
    Image.fromarray(classes).save(home / f"mask{suffix}.png")
    boxes = [{"Liver": [8, 5, 12, 10]}, {"Lung Cancer": [2, 3, 4, 5]}]
    as_json(home / "detection.json", boxes)
    image(folder / "imgs" / "xmlab2" / f"source{suffix.replace('1', '2')}.jpg")
    as_json(folder / "imgs" / "xmlab2" / "detection.json", [])
    # Without a line break at the end.
    (folder / "mask.txt").write_text("7:Liver\n9:Left Kidney\n11:Spleen")

    def question(number, text, answer, kind="Organ", language="en", where=1, closed="OPEN"):
        return {
            "img_id": where,
            "img_name": f"xmlab{where}/source.jpg",
            "question": text,
            "answer": answer,
            "q_lang": language,
            "location": "Abdomen",
            "modality": "CT",
            "answer_type": closed,
            "base_type": "vqa",
            "content_type": kind,
            "triple": ["vhead", "_", "_"],
            "qid": number,
        }

    test = [
        question(1, "Is the liver normal?", "Yes", "Abnormality", closed="CLOSED"),
        question(2, "Which organ is on the right?", "left kidney, Liver", "Position"),
        question(3, "Where is the lung cancer?", "Upper left", "Position"),
        question(4, "Does the image show the liver?", "MRI", "Modality"),
        question(5, "Is it delivered?", "No", "Organ", closed="CLOSED"),
        question(6, "Is the liver there?", "No", "Organ", where=2, closed="CLOSED"),
        question(7, "这是肝脏吗?", "是", "Organ", "zh", closed="CLOSED"),
    ]
    as_json(folder / "test.json", test)
    as_json(folder / "train.json", [question(8, "Is the spleen there?", "No")])
    as_json(folder / ("validation.json" if mirror else "validate.json"), [])


def vqa_rad(folder):
    def question(number, kind, answer, stated, name="synpic1.jpg"):
        return {
            "qid": number,
            "phrase_type": kind,
            "qid_linked_id": "x",
            "image_case_url": "https://medpix.nlm.nih.gov/case",
            "image_name": name,
            "image_organ": "CHEST",
            "evaluation": "evaluated",
            "question": "How many nodules are there?",
            "question_rephrase": "NULL",
            "question_relation": "NULL",
            "question_frame": "NULL",
            "question_type": "COUNT",
            "answer": answer,
            "answer_type": stated,
        }

    rows = [
        question(0, "freeform", 3, "OPEN"),
        question(1, "test_freeform", "Yes", "CLOSED "),
        question(2, "test_para", "Yes", "CLOSED"),
        question(3, "para", "No", "CLOSED", "synpic2.jpg"),
    ]
    as_json(folder / "VQA_RAD Dataset Public.json", rows)
    for name in ("synpic1.jpg", "synpic2.jpg"):
        image(folder / "VQA_RAD Image Folder" / name)


def hub(folder, splits=("train", "test")):
    """Parquet as the hub keeps it: an image of its own in each row, in row groups."""
    import pyarrow as pa
    from pyarrow import parquet

    pictured = []
    for _ in range(3):
        stream = io.BytesIO()
        Image.fromarray(RNG.integers(0, 255, (8, 9)).astype(np.uint8)).save(stream, "png")
        pictured.append(stream.getvalue())
    for split in splits:
        rows = [(0, "Is it?", "yes"), (1, "What?", "liver"), (0, "Is it not?", "No"), (2, "Is it?", "no")]
        content = {
            "image": [{"bytes": pictured[which], "path": None} for which, _, _ in rows],
            "question": [question for _, question, _ in rows],
            "answer": [answer for _, _, answer in rows],
        }
        path = folder / "data" / f"{split}-00000-of-00001-abc.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table(content), path, row_group_size=3)
    return pictured


def conversations(folder, name):
    turns = [{"from": "human", "value": "<image>\nIs it a tumour?"}, {"from": "gpt", "value": "no"}]
    row = {"id": "7", "image": "pvqa/test_1.jpg", "conversations": turns, "answer_type": "CLOSED"}
    as_json(folder / f"{name}.json", [row])
    line = {
        "question_id": 7,
        "image": "pvqa/test_1.jpg",
        "text": "Is it a tumour?\n<image>",
        "answer_type": "OPEN",
    }
    (folder / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    image(folder / "images" / "pvqa" / "test_1.jpg")


def chexlocalize(folder):
    """Two positives of one image, one of another without img_size; what is absent is an empty mask."""
    first, second = "patient1_study1_view1_frontal", "patient2_study1_view1_frontal"
    outline = [[8.0, 6.0], [30.0, 6.0], [30.0, 20.0], [12.0, 28.0]]
    gt = {
        first: {
            "img_size": [40, 56],
            "Airspace Opacity": [outline, [[1, 1], [2, 2]]],
            "Edema": [outline[:3]],
        },
        second: {"Cardiomegaly": [outline]},
    }
    tasks = (
        "Enlarged Cardiomediastinum,Cardiomegaly,Lung Lesion,Airspace "
        "Opacity,Edema,Consolidation,Atelectasis,"
        "Pneumothorax,Pleural Effusion,Support Devices"
    ).split(",")
    from PIL import ImageDraw

    codes = {}
    for key, entry in gt.items():
        codes[key] = {}
        for task in tasks:
            canvas = Image.new("1", (56, 40))
            for polygon in entry.get(task, []):
                if len(polygon) > 2:
                    ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], outline=1, fill=1)
            codes[key][task] = coco_code(np.asarray(canvas))
    home = folder / "CheXlocalize"
    as_json(home / "gt_annotations_test.json", gt)
    as_json(home / "gt_segmentations_test.json", codes)
    human = np.zeros((40, 56), bool)
    human[10:20, 10:20] = True
    as_json(home / "hb_segmentations_test.json", {first: {task: coco_code(human) for task in tasks}})
    as_json(home / "hb_salient_pt_test.json", {first: {"Edema": [[9.4, 6.5], [50, 39]]}})
    image(folder / "CheXpert" / "test" / "patient1" / "study1" / "view1_frontal.jpg")
    image(folder / "CheXpert" / "test" / "patient2" / "study1" / "view1_frontal.jpg")
    return outline, codes


def padchest_gr(folder):
    found = {
        "sentence_en": "Right nodule.",
        "sentence_es": "Nódulo derecho.",
        "abnormal": True,
        "boxes": [[0.25, 0.1, 0.5, 0.3]],
        "extra_boxes": [[0.3, 0.1, 0.55, 0.35]],
        "labels": ["nodule"],
        "locations": ["right"],
        "progression": "stable",
    }
    # Where nothing is abnormal, keys may be missing.
    normal = {"sentence_en": "No effusion.", "sentence_es": "Sin derrame.", "abnormal": False}
    studies = [
        {"StudyID": "s1", "ImageID": "i1.png", "findings": [found, normal]},
        {"StudyID": "s2", "ImageID": "i2.png", "findings": [found]},
    ]
    as_json(folder / "grounded_reports_20240819.json", studies)
    rows = [
        ("s1", "i1.png", "p1", "M", "nodule", "train"),
        ("s1", "i1.png", "p1", "M", "other", "train"),
        ("s2", "i2.png", "p2", "F", "nodule", "test"),
    ]
    table(folder / "master_table.csv", "StudyID,ImageID,PatientID,PatientSex_DICOM,label_group,split", rows)
    image(folder / "Padchest_GR_files" / "PadChest_GR" / "i1.png", bits=16)
    image(folder / "Padchest_GR_files" / "PadChest_GR" / "i2.png")


VINDR = (
    # image, reader, class, x_min, y_min, x_max, y_max
    ("a", "R1", "Nodule/Mass", 5.5, 5, 20, 20.25),
    ("a", "R2", "Nodule/Mass", 10, 8, 25, 30),
    ("a", "R2", "Nodule/Mass", 40, 30, 50, 38),
    ("a", "R3", "Nodule/Mass", 12, 9, 15, 12),
    ("a", "R3", "Cardiomegaly", 1, 1, 50, 39),
    ("b", "R1", "No finding", "", "", "", ""),
    ("b", "R2", "No finding", "", "", "", ""),
)


def vindr_cxr(folder, kaggle=False):
    header = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
    rows = [list(row) for row in VINDR]
    if kaggle:
        header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
        rows = [[row[0], row[2], 3, row[1], *row[3:]] for row in rows]
    table(folder / ("train.csv" if kaggle else "annotations/annotations_train.csv"), header, rows)
    consensus = [("c", "Nodule/Mass", 1, 2, 3, 4), ("d", "No finding", "", "", "", "")]
    if not kaggle:
        path = folder / "annotations/annotations_test.csv"
        table(path, "image_id,class_name,x_min,y_min,x_max,y_max", consensus)


def nih_boxes(folder):
    lines = [
        "Image Index,Finding Label,Bbox [x,y,w,h],,,",
        "00000001_000.png,Infiltrate,225.5,547.25,86.75,79.5,,,",
        "00000001_000.png,Nodule,1,2,3,4,,,",
        "00000002_001.png,Mass,1000,1000,24,24,,,",
    ]
    (folder / "BBox_List_2017.csv").write_text("\n".join(lines))
    image(folder / "images_001" / "images" / "00000001_000.png", (64, 64))
    image(folder / "images" / "00000002_001.png", (1024, 1024))


def chest_imagenome(folder):
    header = (
        "image_id,x1,y1,x2,y2,width,height,bbox_name,annot_id,original_x1,original_x2,original_y1,original_y2,"
        "original_width,original_height,annotator,coord224,coord_original"
    )
    # Columns of the original corners: x1, x2, y1, y2.
    tail = ("J", "[1, 2, 3, 4]", "[10, 20, 30, 32]")
    rows = [
        ("d1.dcm", 1, 2, 3, 4, 2, 2, "right lung", "a", 10, 30, 20, 32, 20, 12, *tail),
        ("d3.dcm", 1, 2, 3, 4, 2, 2, "trachea", "b", 1, 2, 3, 4, 1, 1, *tail),
    ]
    table(folder / "gold_dataset" / "gold_bbox_coordinate_annotations_1000images.csv", header, rows)
    listed = [(p, s, d, f"files/p{p[:2]}/p{p}/s{s}/{d}.dcm", "AP") for p, s, d in MIMIC]
    table(
        folder / "utils" / "cxr-record-list_view.csv",
        "subject_id,study_id,dicom_id,path,ViewPosition",
        listed,
    )


def reflacx(folder):
    header = "id,split,eye_tracking_data_discarded,image,dicom_id,subject_id,image_size_x,image_size_y"
    paths = [
        "physionet.org/files/mimic-cxr/2.0.0/" + mimic_path(*one).replace(".jpg", ".dcm") for one in MIMIC
    ]
    rows = [
        ("P102R1", "train", "False", paths[0], "d1", "10000032", "56.0", "40.0"),
        ("P102R2", "train", "True", paths[0], "d1", "10000032", "56.0", "40.0"),
    ]
    home = folder / "main_data"
    table(home / "metadata_phase_1.csv", header, rows)
    last = [("P300R1", "test", "False", paths[2], "d3", "19985545", "56.0", "40.0")]
    table(home / "metadata_phase_3.csv", header, last)
    columns = "xmin,ymin,xmax,ymax,certainty,Consolidation,Pneumothorax"
    first = [(10, 8, 30, 28, 5, "True", "False"), (1, 1, 9, 9, 2, "True", "False")]
    table(home / "P102R1" / "anomaly_location_ellipses.csv", columns, first)
    table(home / "P102R2" / "anomaly_location_ellipses.csv", columns, [(12, 8, 32, 28, 3, "True", "True")])
    table(home / "P300R1" / "anomaly_location_ellipses.csv", columns, [(0, 0, 5, 5, 4, "False", "True")])
    gaze = (
        "timestamp_start_fixation,timestamp_end_fixation,x_position,y_position,pupil_area_normalized,window_level,"
        "window_width,angular_resolution_x_pixels_per_degree,angular_resolution_y_pixels_per_degree,"
        "xmin_shown_from_image,ymin_shown_from_image,xmax_shown_from_image,ymax_shown_from_image,"
        "xmin_in_screen_coordinates,ymin_in_screen_coordinates,xmax_in_screen_coordinates,"
        "ymax_in_screen_coordinates"
    )
    fixations = [
        (0.0, 0.5, 20, 10, 1, 0.5, 1, 4, 5, 0, 0, 56, 40, 0, 0, 1, 1),
        (0.6, 2.6, 45, 30, 1, 0.5, 1, 4, 5, 28, 20, 56, 40, 0, 0, 1, 1),
    ]
    table(home / "P102R1" / "fixations.csv", gaze, fixations)


SIIM = ("1.2.276", "1.2.277")


def siim_ptx(folder):
    """Two places in the first image: a rectangle, and a column far from it; none in the second."""
    mask = np.zeros((1024, 1024), bool)
    mask[100:200, 300:310] = True
    rectangle, last, at = [], 0, 300 * 1024 + 100
    for column in range(10):
        rectangle += [at + column * 1024 - last, 100]
        last = at + column * 1024 + 100
    mask[5:9, 800] = True
    lines = [
        "ImageId, EncodedPixels",
        f"{SIIM[0]}, {' '.join(map(str, rectangle))}",
        f"{SIIM[0]}, {800 * 1024 + 5} 4",
        f"{SIIM[1]}, -1",
    ]
    (folder / "train-rle.csv").write_text("\n".join(lines))
    image(folder / "dicom-images-train" / "1.2.840" / "1.2.841" / f"{SIIM[0]}.dcm", (1024, 1024))
    return mask


def rsna_pneumonia(folder):
    rows = [
        ("i1", 264.0, 152.0, 213.0, 379.0, 1),
        ("i1", 562.0, 152.0, 256.0, 453.0, 1),
        ("i2", *[""] * 4, 0),
    ]
    table(folder / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", rows)
    image(folder / "stage_2_train_images" / "i1.dcm", (1024, 1024))


def everything(folder):
    """Every data set that has a folder, whole, each in a folder of its own; their names."""
    for name, build in WHOLE.items():
        home = folder / name
        home.mkdir()
        build(home)
    return list(WHOLE)


def _with_mimic(build):
    def whole(folder):
        build(folder)
        mimic_images(folder, home="files")
        mimic_tables(folder)

    return whole


def _with_vindr_images(folder):
    vindr_cxr(folder)
    for split, codes in (("train", "ab"), ("test", "cd")):
        for code in codes:
            image(folder / split / f"{code}.dicom")


def _folder(folder):
    image(folder / "a.png")
    row = {
        "image": "a.png",
        "question": "Is there?",
        "boxes": [[1, 2, 3, 4]],
        "polygons": [[[1, 1], [5, 5], [1, 5]]],
    }
    (folder / "samples.jsonl").write_text(
        json.dumps(row | {"finding": "mass", "mask": "a.png", "split": "test"})
    )


WHOLE = {
    "ms_cxr": _with_mimic(ms_cxr),
    "llava_rad": _with_mimic(llava_rad),
    "slake": slake,
    "vqa_rad": vqa_rad,
    "pathvqa": lambda folder: hub(folder, ("train", "validation", "test")),
    "chexlocalize": chexlocalize,
    "padchest_gr": padchest_gr,
    "vindr_cxr": _with_vindr_images,
    "nih_boxes": nih_boxes,
    "chest_imagenome": _with_mimic(chest_imagenome),
    "reflacx": _with_mimic(reflacx),
    "siim_ptx": siim_ptx,
    "rsna_pneumonia": rsna_pneumonia,
    "folder": _folder,
}
