from hanmo.pipeline.pretrain import PretrainOptions, pretrain_alone
from hanmo.pipeline.recipe import read_recipe


def test_a_data_set_and_a_tokenizer_become_a_model_from_python_too(begun, recipe, tmp_path):
    wanted = read_recipe(recipe)
    options = PretrainOptions(data=begun.data, tokenizer=begun.tokenizer, out=tmp_path / "run", model=wanted.model, train=wanted.train)
    manifest = pretrain_alone(options)
    assert manifest["stage"] == "pretrain" and manifest["steps"] == 40
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    assert pretrain_alone(options) == manifest  # finished: nothing to do
