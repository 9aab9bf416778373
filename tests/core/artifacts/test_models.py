"""What a pushed model's metadata tells: TFX's properties of one push, lists of several."""

import pytest

from penstock.core.artifacts import PushedVersion, pushed_metadata, pushed_versions

FOLDER = PushedVersion("/serving/17", "17")
CANARY = PushedVersion("arn:aws:sagemaker:eu-west-1:123456789012:endpoint/taxi", "18", 10)


@pytest.mark.parametrize(
    ("pushed", "properties"),
    [
        ([], {"pushed": 0}),
        ([FOLDER], {"pushed": 1, "pushed_destination": "/serving/17", "pushed_version": "17"}),
        (
            [CANARY],
            {"pushed": 1, "pushed_destination": CANARY.place, "pushed_version": "18", "pushed_percent": 10},
        ),
        (
            [FOLDER, CANARY],
            {
                "pushed": 1,
                "pushed_destination": f'["/serving/17", "{CANARY.place}"]',
                "pushed_version": '["17", "18"]',
                "pushed_percent": "[100, 10]",
            },
        ),
    ],
)
def test_what_was_pushed_is_read_as_it_was_written(
    pushed: list[PushedVersion], properties: dict[str, str | int]
) -> None:
    metadata = pushed_metadata(pushed)
    assert metadata == {"tfx_version": "1.21.0", **properties}
    assert pushed_versions(metadata) == pushed


def test_what_others_wrote_is_read_as_well() -> None:
    assert pushed_versions({}) == []
    assert pushed_versions({"pushed": 1, "pushed_destination": "[a"}) == [PushedVersion("[a", "")]
