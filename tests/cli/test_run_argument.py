from pin_lightning.cli.run_argument import with_run


def test_the_run_may_stand_alone(tmp_path):
    odd = tmp_path / "model.alpha=0.5"
    for arguments in ([], ["--help"], ["+a=1"], ["~a"], ["opset=20", "no/such"], [str(odd)]):
        assert with_run(arguments) == arguments
    odd.mkdir()
    assert with_run(["--cfg", "job", str(odd)]) == ["--cfg", "job", f"run={odd}"]


def test_a_file_is_a_run_too(tmp_path):
    (tmp_path / "heads.zip").touch()
    assert with_run(["opset=20", f"{tmp_path}/heads.zip"])[1] == f"run={tmp_path}/heads.zip"
