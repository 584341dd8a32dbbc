"""Labels of other programs: recognized or named, read without trusting them, and written back."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photosieve.data.check import check
from photosieve.data.dataset import Dataset
from photosieve.data.export import FORMS, export_labels
from photosieve.data.label_book import LabelBook
from photosieve.data.label_forms import FILE_FORMS, FOLDER_FORMS
from photosieve.errors import LabelsError, UsageError
from tests.unit.data.buildings import building, kinds

PLAIN = {
    "north/a.jpg": ["living room", "TV"],
    "north/b.jpg": [],
    "south/a.jpg": ["Küche", "living room"],
    "south/c.png": ["TV"],
}
EXACT = {"north/d.jpg": {"yes": ["TV"], "no": ["Küche"]}}


def known(data: Dataset) -> dict[str, tuple[set[str], set[str] | None]]:
    """What is known of each photo, by its path below the root."""
    noes = data.noes or (None,) * len(data)
    return {
        photo.relative_to(data.root).as_posix(): (set(yes), None if no is None else set(no))
        for photo, yes, no in zip(data.photos, data.labels, noes, strict=True)
    }


def labels(data: Dataset) -> dict[str, set[str]]:
    return {name: yes for name, (yes, _) in known(data).items()}


def photo(path: Path, color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), color).save(path)
    return path


def foreign(folder: Path, name: str, text: object, *photos: str) -> Path:
    """A folder with photos and a file of another program."""
    for each in photos or ("a.jpg", "b.jpg"):
        photo(folder / each)
    written = text if isinstance(text, str) else json.dumps(text)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(written, "utf-8")
    return folder


# Round trips: all forms, through files.

HOLD_NONE = {"folders", "keywords"}
"""Forms that cannot say that a photo has none of the labels."""

HOLD_NO = {"json", "csv", "columns", "coco"}
"""Forms that tell no from unknown."""


@pytest.mark.parametrize("form", FORMS)
def test_a_round_trip(tmp_path: Path, form: str) -> None:
    source = Dataset.load(building(tmp_path / "photos", PLAIN))
    by_folder = form in {each.name for each in FOLDER_FORMS}
    if by_folder:
        done = export_labels(source, form, tmp_path / "copies")
        again = Dataset.load(done.path, labels_from=form)
    else:
        done = export_labels(source, form, None if form != "json" else tmp_path / "photos/x.json")
        (tmp_path / "photos/labels.json").rename(tmp_path / "old.json")
        again = Dataset.load(tmp_path / "photos" if form != "json" else done.path)
    assert (done.photos, done.labels) == (4, 3)
    wanted = {name: set(own) for name, own in PLAIN.items() if own or form not in HOLD_NONE}
    if form == "folders":  # one name for each photo, below its class
        wanted = {"Küche/south__a.jpg": {"Küche", "living room"},
                  "TV/north__a.jpg": {"TV", "living room"}, "TV/south__c.png": {"TV"}}  # fmt: skip
        assert set(again.groups) == {"copies"}
    assert labels(again) == wanted
    if form == "columns":  # a photo is exact there, of each label that the file has
        assert {frozenset(yes | (no or set())) for yes, no in known(again).values()} == {
            frozenset({"living room", "TV", "Küche"})
        }
    lost = "photos without labels are not in it" in " ".join(done.lost)
    assert lost == (form in HOLD_NONE)
    assert len(done.lost) == lost


@pytest.mark.parametrize("form", FORMS)
def test_yes_no_and_unknown_are_kept_or_said_to_be_lost(tmp_path: Path, form: str) -> None:
    source = Dataset.load(building(tmp_path / "photos", {**PLAIN, **EXACT}))
    ending = {each.name: Path(each.file).suffix for each in FILE_FORMS} | {"json": ".json"}
    by_folder = form in {each.name for each in FOLDER_FORMS}
    out = tmp_path / ("copies" if by_folder else f"photos/x{ending.get(form, '.csv')}")
    done = export_labels(source, form, out)
    said = [sentence for sentence in done.lost if "pair" in sentence]
    if form in HOLD_NO:
        assert done.lost == ()
        assert known(Dataset.load(out))["north/d.jpg"] == ({"TV"}, {"Küche"})
    else:  # only "living room" was unknown
        pair = f"1 pair of photo and label: unknown before, no in {form}"
        assert said == [f"{pair}; read it with --partial-labels."]


def test_an_export_replaces_nothing(tmp_path: Path) -> None:
    data = Dataset.load(building(tmp_path, {"a.jpg": ["sofa"]}))
    with pytest.raises(UsageError, match=r"labels.json is there already: remove it, or name"):
        export_labels(data, "json")
    with pytest.raises(UsageError, match=r"does not end in \.csv"):
        export_labels(data, "csv", tmp_path / "x.json")
    with pytest.raises(UsageError, match="txt is written with copies of the photos: add --out"):
        export_labels(data, "txt")
    with pytest.raises(UsageError, match="is there already: name a new folder"):
        export_labels(data, "txt", tmp_path)
    with pytest.raises(UsageError, match='"yolo" is no form of labels; choose from json, csv'):
        export_labels(data, "yolo")
    bad = Dataset.load(building(tmp_path / "bad", {"a.jpg": ["../sofa"]}))
    with pytest.raises(LabelsError, match=r"'../sofa' cannot be the name of a folder"):
        export_labels(bad, "folders", tmp_path / "new")


def test_photos_of_two_buildings_with_one_name(tmp_path: Path) -> None:
    names = {"a/b__c.jpg": ["sofa"], "a__b/c.jpg": ["sofa"]}
    data = Dataset.load(building(tmp_path / "photos", names))
    with pytest.raises(LabelsError, match="would be there twice: rename one of the photos"):
        export_labels(data, "folders", tmp_path / "new")


# Tables.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name,labels\na.jpg,\"sofa, lamp\"\nb.jpg,['rug']\n"),
        ("metadata.csv", 'file_name,label,split\na.jpg,sofa,x\na.jpg,lamp,x\nb.jpg,rug,"y, z"\n'),
        ("metadata.csv", "file_name;tags\r\na.jpg;sofa|lamp\r\nb.jpg;rug\r\n"),
        ("metadata.csv", "\ufefffile_name\ttext\na.jpg\tsofa; lamp\nb.jpg\trug\n"),
        ("metadata.csv", 'Labels,Image\n"[""sofa"", ""lamp""]",a.jpg\nrug,b.jpg\n'),
        ("my-labels.csv", "photo,labels\na.jpg,sofa;lamp\nb.jpg,rug\n"),
        (
            "metadata.jsonl",
            '{"file_name": "a.jpg", "labels": ["sofa", "lamp"]}\n\n'
            '{"labels": "rug", "file_name": "b.jpg"}\n',
        ),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    data = Dataset.load(foreign(tmp_path, name, text))
    assert known(data) == {"a.jpg": ({"sofa", "lamp"}, None), "b.jpg": ({"rug"}, None)}
    assert kinds(data) == []


def test_an_empty_cell_is_unknown_and_an_empty_list_is_none(tmp_path: Path) -> None:
    table = "file_name,labels\na.jpg,\nb.jpg,[]\n"
    data = Dataset.load(foreign(tmp_path / "csv", "metadata.csv", table))
    assert labels(data) == {"b.jpg": set()}
    assert data.unlisted == (tmp_path / "csv/a.jpg",)
    lines = '{"file_name": "a.jpg", "labels": null}\n{"file_name": "b.jpg", "labels": []}\n'
    data = Dataset.load(foreign(tmp_path / "jsonl", "metadata.jsonl", lines))
    assert labels(data) == {"b.jpg": set()}


@pytest.mark.parametrize("name", ["_classes.csv", "columns-labels.csv"])
def test_one_column_for_each_label(tmp_path: Path, name: str) -> None:
    table = "filename, sofa, rug, lamp\na.jpg, 1, 0,\nb.jpg,no,YES,-1.0\n"
    assert known(Dataset.load(foreign(tmp_path, name, table))) == {
        "a.jpg": ({"sofa"}, {"rug"}),
        "b.jpg": ({"rug"}, {"sofa"}),
    }


@pytest.mark.parametrize(
    "table",
    [
        "file_name,price,city\na.jpg,12,Paris\n",
        "file_name,text\na.jpg,A large room with a blue sofa\n",
    ],
)
def test_a_table_of_something_else_is_no_labels_file(tmp_path: Path, table: str) -> None:
    foreign(tmp_path, "metadata.csv", table)
    LabelBook(tmp_path / "history", {tmp_path: tmp_path})  # which a labels file could stop
    with pytest.raises(LabelsError, match="has photos but no labels file"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.csv", "file_name,label\na.jpg,3\nb.jpg,0\n", "numbers in place of labels"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "label": 3}', "numbers in place of labels"),
        (
            "metadata.csv",
            "file_name,text\na.jpg,A large room with a blue sofa\n",
            "line 2: the column 'text' holds a sentence, \"A large room with a blue sofa\"",
        ),
        ("metadata.csv", "file_name,labels\na.jpg,x,y\n", "line 2: 3 cells below 2 columns"),
        ("metadata.csv", 'file_name,labels\n"a.jpg,x\n', "not valid CSV"),
        ("metadata.csv", "file_name,labels,labels\na.jpg,x,y\n", "two columns have one name"),
        ("metadata.csv", "file_name,labels\n,x\n", "line 2: the name of the photo is missing"),
        ("metadata.csv", "labels\nx\n", "the first line must be photo,labels"),
        ("metadata.jsonl", "{", "line 1: not valid JSON"),
        ("metadata.jsonl", "[" * 100_000, "line 1: not valid JSON"),
        ("metadata.jsonl", "[1]", "line 1: write an object in each line"),
        ("metadata.jsonl", '{"file_name": 3}', "the name of the photo is missing"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "labels": [{}]}', "something other than names"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "labels": 1e999}', "other than names"),
        ("x.csv", "file_name,sofa,rug,labels\na.jpg,1,2,\n", "no photo that is listed exists"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, name: str, text: str, message: str) -> None:
    foreign(tmp_path, name, text)
    with pytest.raises(LabelsError, match=message) as seen:
        Dataset.load(tmp_path / name)
    assert name in str(seen.value)


def test_entries_that_lead_outside(tmp_path: Path) -> None:
    photo(tmp_path / "secret.jpg")
    images = [{"id": 1, "file_name": "../secret.jpg"}]
    coco = {"images": images, "annotations": [], "categories": []}
    tasks = [{"data": {"image": "../secret.jpg"}, "annotations": [{"result": []}]}]
    files = {
        "metadata.csv": "file_name,labels\n../secret.jpg,sofa\n",
        "metadata.jsonl": json.dumps({"file_name": str(tmp_path / "secret.jpg"), "labels": "a"}),
        "columns-labels.csv": "file_name,sofa\n..\\secret.jpg,1\n",
        "coco.json": json.dumps(coco),
        "project-1.json": json.dumps(tasks),
    }
    for number, (name, text) in enumerate(files.items()):
        folder = foreign(tmp_path / str(number), name, text)
        with pytest.raises(LabelsError, match="leads outside its folder"):
            Dataset.load(folder)


def test_our_own_file_counts_first(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"]})
    foreign(tmp_path, "metadata.csv", "file_name,labels\na.jpg,rug\n")
    assert labels(Dataset.load(tmp_path)) == {"a.jpg": {"sofa"}}


# COCO and Label Studio.


def coco_of(*names: str, **image: object) -> dict[str, object]:
    return {
        "info": {},
        "images": [{"id": 10 + n, "file_name": name, **image} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": "sofa"}, {"id": 7, "name": "dining table"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 7, "bbox": [0, 0, 1, 1], "iscrowd": 0},
            {"id": 2, "image_id": 10, "category_id": 7, "bbox": [1, 1, 1, 1], "iscrowd": 0},
            {"id": 3, "image_id": 10, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        ],
    }


@pytest.mark.parametrize("name", ["_annotations.coco.json", "labels.json", "instances_x.json"])
def test_coco(tmp_path: Path, name: str) -> None:
    data = Dataset.load(foreign(tmp_path, name, coco_of("a.jpg", "b.jpg")))
    assert known(data) == {"a.jpg": ({"dining table", "sofa"}, None), "b.jpg": (set(), None)}


def test_coco_in_its_usual_folders(tmp_path: Path) -> None:
    foreign(
        tmp_path, "annotations/instances_train.json", coco_of("a.jpg", "b.jpg"),
        "train/a.jpg", "train/b.jpg", "val/c.jpg",
    )  # fmt: skip
    for path in (tmp_path, tmp_path / "annotations/instances_train.json"):
        data = Dataset.load(path)
        assert [p.relative_to(tmp_path).as_posix() for p in data.photos] == [
            "train/a.jpg", "train/b.jpg",
        ]  # fmt: skip
        assert set(data.groups) == {"train"}


def test_negative_categories_of_lvis_leave_the_others_unknown(tmp_path: Path) -> None:
    data = coco_of("a.jpg", neg_category_ids=[], not_exhaustive_category_ids=[1])
    assert known(Dataset.load(foreign(tmp_path / "none", "coco.json", data))) == {
        "a.jpg": ({"sofa", "dining table"}, set())
    }


def test_a_photo_that_several_fit_is_not_guessed(tmp_path: Path) -> None:
    foreign(tmp_path, "coco.json", coco_of("a.jpg", "y/b.jpg"), "x/a.jpg", "y/a.jpg", "y/b.jpg")
    data = Dataset.load(tmp_path)
    assert list(labels(data)) == ["y/b.jpg"]
    assert "missing photo" in kinds(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"categories": []}, "not valid COCO .KeyError: 7"),
        (
            {"images": [{"id": 5, "file_name": "a.jpg"}]},
            "has annotations of image 10, which is not in it",
        ),
        ({"annotations": [3]}, "not valid COCO"),
        ({"annotations": {}}, "has an object without"),  # not taken for COCO at all
        ({"images": [{"id": []}]}, "not valid COCO"),
    ],
)
def test_coco_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    foreign(tmp_path, "labels.json", {**coco_of("a.jpg"), **change})
    with pytest.raises(LabelsError, match=message):
        Dataset.load(tmp_path)


def choices(*names: str, kind: str = "choices") -> dict[str, object]:
    return {"type": kind, "from_name": "c", "to_name": "image", "value": {kind: list(names)}}


def test_label_studio(tmp_path: Path) -> None:
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"},
         "annotations": [{"result": [choices("sofa"), choices("rug", kind="rectanglelabels")]},
                         {"result": [choices("wrong")], "was_cancelled": True}],
         "predictions": [{"result": [choices("wrong")]}]},
        {"data": {"pic": "/data/local-files/?d=photos%2Fb%20b.jpg"},
         "annotations": [{"result": []}]},
        {"data": {"image": "s3://bucket/x/photos/c.jpg"}, "annotations": []},
    ]  # fmt: skip
    names = ("photos/a.jpg", "photos/b b.jpg", "photos/c.jpg")
    data = Dataset.load(foreign(tmp_path, "project-1-at-2026.json", tasks, *names))
    assert known(data) == {"photos/a.jpg": ({"sofa", "rug"}, None), "photos/b b.jpg": (set(), None)}
    assert [path.name for path in data.unlisted] == ["c.jpg"]


def test_the_short_form_of_label_studio(tmp_path: Path) -> None:
    tasks = [
        {"image": "http://x/a.jpg", "id": 1, "choice": "sofa", "annotator": 1},
        {"image": "b.jpg", "id": 2, "choice": {"choices": ["rug", "lamp"]},
         "label": [{"x": 1, "rectanglelabels": ["TV"]}]},
    ]  # fmt: skip
    data = Dataset.load(foreign(tmp_path, "my.json", tasks) / "my.json")
    assert labels(data) == {"a.jpg": {"sofa"}, "b.jpg": {"rug", "lamp", "TV"}}


@pytest.mark.parametrize(
    "text", ["[{}, 1]", '[{"a": 1}]', '[{"data": 1, "annotations": [1]}]', "[{"]
)
def test_a_list_that_is_no_export(tmp_path: Path, text: str) -> None:
    with pytest.raises(LabelsError, match=r"no export of Label Studio|not valid JSON"):
        Dataset.load(foreign(tmp_path, "labels.json", text))


NAMES = st.sampled_from(
    ["id", "file_name", "name", "image_id", "category_id", "neg_category_ids", "data", "image",
     "annotations", "result", "type", "value", "choices", "labels", "label", "text"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.floats(), st.text(max_size=4),
    st.sampled_from(["a.jpg", "../a.jpg", "http://[", "/a?d=%zz", "[", "['x'", "choices", "1"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
OBJECTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3)


@pytest.mark.long
@given(
    st.fixed_dictionaries({"images": OBJECTS, "annotations": OBJECTS, "categories": OBJECTS}),
    st.lists(st.fixed_dictionaries({"data": VALUES, "annotations": OBJECTS}), min_size=1),
    OBJECTS,
    st.lists(st.lists(LEAVES, max_size=4), max_size=4),
)
@settings(deadline=None, max_examples=30)
def test_any_content_gives_a_dataset_or_a_labels_error(
    coco: object, tasks: object, lines: list[object], rows: list[list[object]]
) -> None:
    table = "\n".join(",".join(map(str, row)) for row in rows)
    files = {
        "a.json": json.dumps(coco), "b.json": json.dumps(tasks), "c.json": json.dumps(lines),
        "d.jsonl": "\n".join(map(json.dumps, lines)), "e.csv": f"file_name,labels\n{table}",
        "f.csv": table,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        photo(Path(folder, "a.jpg"))
        for name, text in files.items():
            file = Path(folder, name)
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            with suppress(LabelsError):
                assert Dataset.load(file).photos == (file.with_name("a.jpg"),)


# Folders, texts and keywords.


def test_class_folders_are_named_and_are_no_buildings(tmp_path: Path) -> None:
    for name in ("living_room/a.jpg", "kitchen/a.jpg", "kitchen/more/b.jpg", "c.jpg"):
        photo(tmp_path / name, color="red" if name.startswith("l") else "blue")
    with pytest.raises(LabelsError, match="folders are the labels, add --labels-from folders"):
        Dataset.load(tmp_path)
    data = Dataset.load(tmp_path, labels_from="folders")
    assert labels(data) == {
        "living_room/a.jpg": {"living room"},
        "kitchen/a.jpg": {"kitchen"},
        "kitchen/more/b.jpg": {"kitchen"},
    }
    assert len(data.group_names) == 1
    assert data.unlisted == (tmp_path / "c.jpg",)


def test_text_files_are_found_where_there_are_no_labels(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(tmp_path / name)
    (tmp_path / "a.txt").write_text("sofa, lamp\nrug\n")
    (tmp_path / "b.jpg.txt").write_text("")
    data = Dataset.load(tmp_path)
    assert labels(data) == {"a.jpg": {"sofa", "lamp", "rug"}, "b.jpg": set()}
    found = next(problem for problem in data.problems if problem.kind == "labels found")
    assert "the labels of 2 photos are read from text files beside the photos" in found.message
    assert "--labels-from txt" in found.message
    building(tmp_path, {"c.jpg": ["TV"]})
    assert labels(Dataset.load(tmp_path)) == {"c.jpg": {"TV"}}
    assert list(labels(Dataset.load(tmp_path, labels_from="txt"))) == ["a.jpg", "b.jpg"]
    (tmp_path / "a.txt").rename(tmp_path / "A.TXT")  # as Windows writes it
    assert list(labels(Dataset.load(tmp_path, labels_from="txt"))) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.25 0.3\n3 0.1 0.1 0.2 0.2\n", "boxes as YOLO writes them"),
        ("A cosy living room with a sofa", "holds a sentence"),
        ("x" * 70_000, "has more than 65,536 bytes"),
        ("\udcff", "is not UTF-8 text"),
    ],
)
def test_text_files_that_hold_no_labels(tmp_path: Path, text: str, message: str) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LabelsError, match=message):
        Dataset.load(tmp_path)


def packet(*subjects: str, head: str = "") -> bytes:
    items = "".join(f"<rdf:li>{subject}</rdf:li>" for subject in subjects)
    return (
        f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>{head}'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:lr="http://ns.adobe.com/lightroom/1.0/">'
        f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>"
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Home|sofa</rdf:li></rdf:Bag>"
        "</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"
        f'{" " * 50}<?xpacket end="w"?>'
    ).encode()


def with_iptc(path: Path, *keywords: bytes) -> None:
    """Put IPTC keywords into a JPEG file, as a Photoshop resource."""
    records = b"".join(b"\x1c\x02\x19" + len(word).to_bytes(2) + word + b"" for word in keywords)
    size = len(records).to_bytes(4)
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + size + records + b"\0" * (len(records) % 2)
    content = path.read_bytes()
    segment = b"\xff\xed" + (len(resource) + 2).to_bytes(2) + resource
    path.write_bytes(content[:2] + segment + content[2:])


def test_keywords(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), "red")
    red.save(tmp_path / "a.jpg", xmp=packet("sofa", "K&#252;che", "sofa"))
    red.save(tmp_path / "b.webp", xmp=packet("lamp"))
    red.save(tmp_path / "c.jpg")
    with_iptc(tmp_path / "c.jpg", b"rug", "Küche".encode())
    red.save(tmp_path / "d.jpg")
    with_iptc(tmp_path / "d.jpg", "Küche".encode("latin-1"))
    red.save(tmp_path / "e.png")
    (tmp_path / "e.png.xmp").write_bytes(packet("TV"))
    red.save(tmp_path / "f.jpg")
    data = Dataset.load(tmp_path)
    assert labels(data) == {
        "a.jpg": {"sofa", "Küche"}, "b.webp": {"lamp"}, "c.jpg": {"rug", "Küche"},
        "d.jpg": {"Küche"}, "e.png": {"TV"},
    }  # fmt: skip
    assert [path.name for path in data.unlisted] == ["f.jpg"]
    assert "labels found" in kinds(data)
    assert "keywords in the photos" in check([tmp_path]).summary()
    # Beside a labels file keywords are no labels, unless they are asked for.
    building(tmp_path, {"f.jpg": ["rug"]})
    assert labels(Dataset.load(tmp_path)) == {"f.jpg": {"rug"}}
    assert len(Dataset.load(tmp_path, labels_from="keywords")) == 5


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("head", [BOMB, OUTSIDE])
def test_entities_are_never_expanded(tmp_path: Path, head: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", xmp=packet("&b;", head=head))
    with pytest.raises(LabelsError, match="has no photo with labels in this form"):
        Dataset.load(tmp_path, labels_from="keywords")
    (tmp_path / "a.xmp").write_bytes(packet("&b;", head=head))
    with pytest.raises(LabelsError, match=r"a\.xmp cannot be read"):
        Dataset.load(tmp_path, labels_from="keywords")


def test_a_packet_of_its_own_is_kept(tmp_path: Path) -> None:
    building(tmp_path / "photos", {"a.jpg": ["TV"]})
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/a.jpg", xmp=packet("sofa"))
    export_labels(Dataset.load(tmp_path / "photos"), "keywords", tmp_path / "new")
    copy = (tmp_path / "new/a.jpg").read_bytes()
    assert copy == (tmp_path / "photos/a.jpg").read_bytes()
    assert labels(Dataset.load(tmp_path / "new", labels_from="keywords")) == {"a.jpg": {"TV"}}


def test_pixels_stay_as_they_are(tmp_path: Path) -> None:
    data = Dataset.load(building(tmp_path / "photos", {"a.jpg": ["TV & more"]}))
    export_labels(data, "keywords", tmp_path / "new")
    old, new = (Image.open(tmp_path / folder / "a.jpg") for folder in ("photos", "new"))
    assert old.tobytes() == new.tobytes()
    assert not (tmp_path / "new/a.jpg.xmp").exists()


def test_a_form_that_is_not_known(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"]})
    with pytest.raises(UsageError, match="labels are read from folders, txt, keywords, not from"):
        Dataset.load(tmp_path, labels_from="coco")


# The page changes labels in our own forms only.


def test_labels_of_another_program_are_read_and_not_changed(tmp_path: Path) -> None:
    table = "file_name,labels\na.jpg,sofa\n"
    folder = foreign(tmp_path / "photos", "metadata.csv", table)
    book = LabelBook(tmp_path / "history", {folder: folder})
    assert book.labels(folder / "a.jpg") == ("sofa",)
    with pytest.raises(LabelsError, match=r"metadata.csv .*labels export \S+photos --to json"):
        book.change({folder / "a.jpg": ["rug"]})
    assert (folder / "metadata.csv").read_text() == table
    export_labels(Dataset.load(folder), "json")
    book = LabelBook(tmp_path / "history", {folder: folder})
    book.change({folder / "a.jpg": ["rug"]})
    assert labels(Dataset.load(folder)) == {"a.jpg": {"rug"}}
    (folder / "labels.json").unlink()
    book = LabelBook(tmp_path / "history", {folder: folder})
    with pytest.raises(LabelsError):
        book.undo()
    assert (folder / "metadata.csv").read_text() == table
