"""Hydra plugin that lets ``conf/hydra`` change the settings of other plugins, by their names."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin

from pin_lightning.cli.conf import CONF

PLUGIN = "_plugin"


class OwnSettings(SearchPathPlugin):
    """Renames a plugin's ``joblib`` to ``joblib_plugin`` where ``conf`` has a ``joblib.yaml``.

    That file then inherits the plugin's settings (``defaults: [joblib_plugin]``) under the usual
    name. Hydra would merge two configs of one name, with a warning for each job.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Rename the plugins' settings; Hydra calls this once all plugins are loaded."""
        if not any(one.path.removeprefix("file://") == str(CONF) for one in search_path.get_path()):
            return  # another program that uses Hydra
        groups = ConfigStore.instance().repo["hydra"]
        for path in CONF.glob("hydra/*/*.yaml"):
            group = groups.get(path.parent.name, {})
            if path.name in group:
                group[f"{path.stem}{PLUGIN}.yaml"] = group.pop(path.name)
