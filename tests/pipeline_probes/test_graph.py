"""Pipelines and stages that cannot be right are refused in one line; pads are found where people look for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchlab.errors import Exit, Fault
from pipeline_probes.gst.graph import Graph
from pipeline_probes.gst.pipeline_source import PipelineSource
from pipeline_probes.stage_spec import stage_spec
from support.pipelines import at, to_the_end

Play = Callable[..., PipelineSource]


@pytest.mark.parametrize(
    ("text", "stage", "named"),
    [
        ("videotestsrc ! nosuchelement ! fakesink", "a=x.src", 'no element "nosuchelement"'),
        ("videotestsrc ! ! fakesink", "a=x.src", "syntax error"),
        ("", "a=x.src", "empty"),
        ("videotestsrc colour=blue ! fakesink", "a=x.src", 'no property "colour"'),
        ("videotestsrc ! audio/x-raw ! x264enc ! fakesink", "a=x.src", "could not link"),
        ("videotestsrc name=cam ! fakesink", "a=enc.src", "no element enc, expected one of cam, fakesink"),
        ("videotestsrc name=cam ! fakesink", "a=cam.sink", "no pad sink on cam, expected one of src"),
        ("videotestsrc ! tee name=t ! fakesink t. ! fakesink", "a=t.src", "expected one of src_0, src_1"),
        ("filesrc location=x ! decodebin name=d ! fakesink", "a=d.source", "no pad source on d"),
    ],
)
def test_what_cannot_be_right_is_one_line_and_a_usage_error(gst: Any, text: str, stage: str, named: str) -> None:
    with pytest.raises(Fault) as fault:
        Graph(gst, text, [stage_spec(stage)])
    assert fault.value.code == Exit.USAGE
    assert named in fault.value.message
    assert "expected" in fault.value.message
    assert "\n" not in fault.value.message


def test_src_of_a_tee_is_its_one_numbered_pad(play: Play) -> None:
    source = play("videotestsrc num-buffers=5 ! tee name=ingress ! fakesink name=end", "a=ingress.src", "b=end.sink")
    found = to_the_end(source)
    assert at(found, "a") == at(found, "b")
    assert len(at(found, "a")) == 5


def test_each_branch_of_a_tee_is_a_stage_of_its_own(play: Play) -> None:
    text = "videotestsrc num-buffers=5 ! tee name=t ! queue ! fakesink t. ! queue ! fakesink"
    found = to_the_end(play(text, "left=t.src_0", "right=t.src_1"))
    assert at(found, "left") == at(found, "right") != []


def test_pad_that_comes_later_is_waited_for(play: Play) -> None:
    text = "videotestsrc num-buffers=5 ! x264enc ! matroskamux ! matroskademux name=d ! fakesink"
    found = to_the_end(play(text, "encoded=d.video_0"))
    assert len(at(found, "encoded")) == 5


def test_pad_of_an_element_within_a_bin(play: Play) -> None:
    text = "bin.( name=inner videotestsrc num-buffers=3 name=cam ! identity ) ! fakesink"
    assert len(at(to_the_end(play(text, "a=cam.src")), "a")) == 3


def test_single_element_is_a_pipeline_too(play: Play) -> None:
    assert len(at(to_the_end(play("fakesrc name=only num-buffers=2 ! fakesink", "a=only.src")), "a")) == 2
